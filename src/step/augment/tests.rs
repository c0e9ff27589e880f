//! The parsing of lists, their errors, and the quantiles of known distributions.

use super::*;

/// Distributions whose quantiles are known: even for 1, 3x² - 2x³ for 2, and the arcsine's for 1/2.
#[test]
fn quantiles_are_those_of_known_distributions() {
    type Quantile = fn(f64) -> f64;
    let known: [(f64, Quantile); 3] = [
        (1.0, |x| x),
        (2.0, |x| 3.0 * x * x - 2.0 * x * x * x),
        (0.5, |x| 2.0 / std::f64::consts::PI * x.sqrt().asin()),
    ];
    for (a, below) in known {
        let table = quantiles(a);
        assert_eq!((table.len(), table[0], table[CELLS]), (CELLS + 1, 0.0, 0.5), "{a}");
        for (k, x) in table.iter().enumerate() {
            let (found, expected) = (below((*x).into()), k as f64 / 512.0);
            assert!((found - expected).abs() < 1e-6, "{a} {k}: {found}, expected {expected}");
        }
    }
    for a in [1e-3, 0.1, 0.2, 10.0] {
        let table = quantiles(a);
        assert!(table.is_sorted() && table.iter().all(|x| (0.0..=0.5).contains(x)), "{a}: {table:?}");
    }
}

#[test]
fn a_list_is_read_and_written() {
    let list = "shift=2,rotate=10,scale=0.08,shear=5,crop=4,cutout=8,brightness=0.2,contrast=0.3,saturation=0.4,hue=0.1,mixup=0.2,hflip,vflip";
    let read: Augment = list.parse().unwrap();
    let expected = Augment {
        shift: 2.0,
        rotate: 10.0,
        scale: 0.08,
        shear: 5.0,
        hflip: true,
        vflip: true,
        crop: 4,
        cutout: 8,
        brightness: 0.2,
        contrast: 0.3,
        saturation: 0.4,
        hue: 0.1,
        mixup: 0.2,
        ..Augment::default()
    };
    assert_eq!(read, expected);
    assert_eq!(read.to_string(), list);
    assert!("off".parse::<Augment>().unwrap().is_off() && "shift=0,crop=0".parse::<Augment>().unwrap().is_off());
    assert_eq!(Augment::default().to_string(), "off");
    let table = toml::to_string(&read).unwrap();
    assert_eq!(toml::from_str::<Augment>(&table).unwrap(), read, "{table}");
    assert_eq!(toml::to_string(&Augment::default()).unwrap(), "");
}

#[test]
fn resized_crops_and_fills_are_read_and_written() {
    let crop = |areas| Augment { random_resized_crop: Some(areas), ..Augment::default() };
    let fill = |fill| Augment { crop: 4, fill, ..Augment::default() };
    for (list, written, expected) in [
        ("random-resized-crop", "random-resized-crop", crop([0.08, 1.0])),
        ("random-resized-crop=0.08", "random-resized-crop", crop([0.08, 1.0])),
        ("random-resized-crop=0.3", "random-resized-crop=0.3", crop([0.3, 1.0])),
        ("random-resized-crop=0.3-1", "random-resized-crop=0.3", crop([0.3, 1.0])),
        ("random-resized-crop=1e-2-0.5", "random-resized-crop=0.01-0.5", crop([0.01, 0.5])),
        ("random-resized-crop=1", "random-resized-crop=1", crop([1.0, 1.0])),
        ("fill=128,crop=4", "crop=4,fill=128", fill(Fill::All(128))),
        ("fill=0,crop=4", "crop=4", fill(Fill::All(0))),
        ("fill=124,116,104,crop=4", "crop=4,fill=124,116,104", fill(Fill::Rgb([124, 116, 104]))),
        ("crop=4,fill=0,0,0", "crop=4,fill=0,0,0", fill(Fill::Rgb([0; 3]))),
    ] {
        let read: Augment = list.parse().unwrap_or_else(|e| panic!("{list}: {e}"));
        assert_eq!((read, &*read.to_string()), (expected, written), "{list}");
        assert_eq!(written.parse(), Ok(expected), "{written}");
        let table = toml::to_string(&read).unwrap();
        assert_eq!(toml::from_str::<Augment>(&table).unwrap(), read, "{table}");
    }
    assert_eq!(Fill::Rgb([1, 2, 255]).word(), 0x01ff_0201);
    let error = toml::from_str::<Augment>("crop = 4\nfill = [1, 2]").unwrap_err().to_string();
    assert!(error.contains("expected one value from 0 to 255, or a list of three: red, green, blue"), "{error}");
}

#[test]
fn only_what_moves_pixels_in_reaches_outside() {
    let of = |list: &str| list.parse::<Augment>().unwrap();
    let crop = of("random-resized-crop,hflip");
    assert!(crop.warps() && !crop.reaches_outside() && !crop.keeps_places() && !crop.is_off());
    assert!(of("random-resized-crop,shift=1").reaches_outside() && of("crop=1,fill=3").reaches_outside());
}

#[test]
fn what_cannot_be_meant_is_refused_with_words() {
    for (list, expected) in [
        ("", "no augmentation ''; expected shift, rotate"),
        ("shfit=2", "no augmentation 'shfit'; did you mean 'shift'? Expected shift, rotate"),
        ("rotate=10,,hflip", "no augmentation ''"),
        ("shift", "shift: an amount is expected, shift=PIXELS"),
        ("shift=", "shift '': a number is expected, shift=PIXELS"),
        ("crop=1.5", "crop '1.5': a whole number is expected, crop=PIXELS"),
        ("crop=-1", "crop '-1': a whole number"),
        ("hflip=1", "hflip '1': it stands alone"),
        ("hflip,hflip", "hflip is there twice"),
        ("shift=-1", "augment shift -1: pixels of 0 or more expected"),
        ("shift=inf", "augment shift inf"),
        ("rotate=nan", "augment rotate NaN: degrees from 0 to 180 expected"),
        ("rotate=181", "augment rotate 181"),
        ("scale=1", "augment scale 1: a share from 0 to 0.9 expected"),
        ("shear=61", "augment shear 61"),
        ("hue=0.6", "augment hue 0.6: a share of a turn from 0 to 0.5 expected"),
        ("brightness=-1", "augment brightness -1: a share from 0 to 10 expected"),
        ("contrast", "contrast: an amount is expected, contrast=SHARE"),
        ("mixup=11", "augment mixup 11: a number from 0 to 10 expected"),
        ("mixup", "mixup: an amount is expected, mixup=A"),
        ("shift=2 ", "shift '2 '"),
        ("random-resized-crop=", "random-resized-crop '': shares of the area are expected, random-resized-crop=0.3 or"),
        ("random-resized-crop=0.3-", "random-resized-crop '0.3-': shares"),
        ("random-resized-crop=0.3--1", "random-resized-crop '0.3--1': shares"),
        ("random-resized-crop=0.3-0.5-1", "random-resized-crop '0.3-0.5-1': shares"),
        ("random-resized-crop=0.5-0.3", "augment random-resized-crop 0.5-0.3: shares of the area from 0.001 to 1 are"),
        ("random-resized-crop=0", "augment random-resized-crop 0-1: shares"),
        ("random-resized-crop=-0.5", "augment random-resized-crop -0.5-1: shares"),
        ("random-resized-crop=1.5", "augment random-resized-crop 1.5-1: shares"),
        ("random-resized-crop=0.5-1.5", "augment random-resized-crop 0.5-1.5: shares"),
        ("random-resized-crop=nan", "augment random-resized-crop NaN-1: shares"),
        ("random-resized-crop=0.5-nan", "augment random-resized-crop 0.5-NaN: shares"),
        ("random-resized-crop,random-resized-crop=1", "random-resized-crop is there twice"),
        ("random_resized_crop", "no augmentation 'random_resized_crop'; did you mean 'random-resized-crop'?"),
        ("crop=1,fill", "fill: a value is expected, fill=N or fill=R,G,B"),
        ("crop=1,fill=", "fill '': one value from 0 to 255 is expected, or three, fill=R,G,B"),
        ("crop=1,fill=256", "fill '256': one value"),
        ("crop=1,fill=-1", "fill '-1': one value"),
        ("crop=1,fill=1.5", "fill '1.5': one value"),
        ("crop=1,fill=1,2", "fill '1,2': one value"),
        ("crop=1,fill=1,2,3,4", "fill '1,2,3,4': one value"),
        ("fill=1,,2,crop=1", "no augmentation ''"),
        ("fill=1,2,3", "augment fill 1,2,3: shift, rotate, scale, shear or crop is expected with it"),
        ("fill=9,random-resized-crop,hflip,cutout=2", "augment fill 9: shift, rotate"),
        ("off,shift=2", "no augmentation 'off'"),
    ] {
        let error = list.parse::<Augment>().expect_err(list);
        assert!(error.starts_with(expected), "{list}: {error}");
    }
    let image = [8, 6, 1];
    for (list, expected) in [
        ("shift=6.5", "augment shift 6.5: at most 6 pixels are expected of images of 8 × 6"),
        ("crop=7", "augment crop 7"),
        ("cutout=7", "augment cutout 7"),
        ("crop=2,fill=1,2,3", "augment fill 1,2,3: one value is expected of images with 1 channel, not three"),
    ] {
        let error = list.parse::<Augment>().unwrap().check_for(image).expect_err(list).to_string();
        assert!(error.starts_with(expected), "{list}: {error}");
    }
    let error = "hue=0.1".parse::<Augment>().unwrap().check_for([8, 8, 4]).expect_err("four channels").to_string();
    assert!(
        error.starts_with("augment hue=0.1: 1 or 3 channels are expected for colours, found images of 4"),
        "{error}"
    );
    assert_eq!("shift=6,crop=6,cutout=6".parse::<Augment>().unwrap().check_for(image), Ok(()));
}
