//! The built-in MNIST: embedded as xz, unpacked once into the user's cache folder, verified at every start.

use crate::data::formats::idx;
use crate::data::{BUILT_IN, Dataset};
use crate::error::{Error, Result};
use crate::files::{open, write_whole};
use lzma_rust2::XzReader;
use sha2::{Digest, Sha256};
use std::fs;
use std::io::{self, Read};
use std::path::Path;

/// One of the four files, as it is embedded and as it must be when unpacked.
struct Packed {
    name: &'static str,
    xz: &'static [u8],
    bytes: u64,
    sha256: &'static str,
}

/// Embeds one file of `data/`.
macro_rules! packed {
    ($name:literal, $bytes:literal, $sha256:literal) => {
        Packed {
            name: $name,
            xz: include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/data/", $name, ".xz")),
            bytes: $bytes,
            sha256: $sha256,
        }
    };
}

/// In the order of [`read`]; the names are those of the database.
static FILES: [Packed; 4] = [
    packed!("train-images-idx3-ubyte", 47_040_016, "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
    packed!("train-labels-idx1-ubyte", 60_008, "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
    packed!("t10k-images-idx3-ubyte", 7_840_016, "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
    packed!("t10k-labels-idx1-ubyte", 10_008, "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
];

/// Opens the built-in set: 60,000 training and 10,000 test images of 28×28×1, ten classes.
///
/// The four files are unpacked into `wgrad/mnist` in the user's cache folder unless they are there already and
/// right; where that folder cannot be used, into a temporary one that goes away again, and the notice of the
/// data set says so.
///
/// # Errors
/// [`Error::Failed`] if neither folder can be written.
pub fn load() -> Result<Dataset> {
    let project = directories::ProjectDirs::from("", "", "wgrad");
    let cache = project.map(|project| project.cache_dir().join("mnist"));
    load_from(cache.as_deref(), &std::env::temp_dir())
}

/// [`load`] with the folders named: `cache` itself holds the files, `temporary` gets its own folder name.
///
/// # Errors
/// [`Error::Failed`] if neither folder can be written.
pub fn load_from(cache: Option<&Path>, temporary: &Path) -> Result<Dataset> {
    let refused = match cache {
        None => "there is no cache folder for this user".to_owned(),
        Some(folder) => match unpack_into(folder).and_then(|()| read(folder)) {
            Ok(set) => return Ok(set),
            Err(why) => format!("cache folder {} cannot be used ({why})", folder.display()),
        },
    };
    let failed = |why: String| {
        let temporary = temporary.display();
        Error::failed(format!("MNIST can be unpacked nowhere: {refused}, nor can temporary folder {temporary} ({why})"))
    };
    // The folder has a name that cannot be guessed, and is removed when it goes out of scope.
    let folder =
        tempfile::Builder::new().prefix("wgrad-mnist-").tempdir_in(temporary).map_err(|e| failed(e.to_string()))?;
    let mut set = unpack_into(folder.path()).and_then(|()| read(folder.path())).map_err(failed)?;
    set.notice = Some(format!("{refused}: MNIST is unpacked again at each start, into {}", temporary.display()));
    Ok(set)
}

/// Makes sure that all four files are in `folder` and right.
fn unpack_into(folder: &Path) -> Result<(), String> {
    fs::create_dir_all(folder).map_err(|e| e.to_string())?;
    for file in &FILES {
        let path = folder.join(file.name);
        if !is_right(file, &path) {
            unpack(file, &path).map_err(|e| format!("{}: {e}", file.name))?;
        }
    }
    Ok(())
}

/// Whether the file is there with the right length and hash; anything that cannot be read is not right.
fn is_right(file: &Packed, path: &Path) -> bool {
    let hash_of = || -> io::Result<String> {
        let mut source = open(path)?;
        if source.metadata()?.len() != file.bytes {
            return Ok(String::new());
        }
        let mut hasher = Sha256::new();
        let mut chunk = vec![0; 1 << 16];
        loop {
            match source.read(&mut chunk) {
                Ok(0) => return Ok(hex(&hasher.finalize())),
                Ok(length) => hasher.update(&chunk[..length]),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    };
    hash_of().is_ok_and(|found| found == file.sha256)
}

/// Unpacks one file under its own name and renames it, so that no reader ever sees half a file.
fn unpack(file: &Packed, path: &Path) -> io::Result<()> {
    let mut contents = Vec::new();
    XzReader::new(file.xz, false).take(file.bytes + 1).read_to_end(&mut contents)?;
    if hex(&Sha256::digest(&contents)) != file.sha256 {
        return Err(io::Error::other(format!("unpacks to other bytes than expected ({})", file.sha256)));
    }
    match write_whole(path, &contents) {
        // Windows refuses to replace a file that another process has open, which then is the same file.
        Err(_) if is_right(file, path) => Ok(()),
        done => done.map_err(io::Error::other),
    }
}

/// Reads the four verified files.
fn read(folder: &Path) -> Result<Dataset, String> {
    let [train_images, train_labels, test_images, test_labels] = FILES.each_ref().map(|file| folder.join(file.name));
    idx::read_split(&train_images, &train_labels)
        .and_then(|train| Dataset::new(BUILT_IN, train, idx::read_split(&test_images, &test_labels)?))
        .map_err(|e| e.to_string())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_embedded_is_mnist_and_small() {
        for file in &FILES {
            let mut contents = Vec::new();
            XzReader::new(file.xz, false).read_to_end(&mut contents).unwrap();
            assert_eq!(contents.len() as u64, file.bytes, "{}", file.name);
            assert_eq!(hex(&Sha256::digest(&contents)), file.sha256, "{}", file.name);
        }
        let packed: usize = FILES.iter().map(|file| file.xz.len()).sum();
        assert!(packed <= 9_500_000, "{packed} bytes embedded, expected at most 9.5 MB");
    }

    #[test]
    fn a_file_is_right_only_byte_for_byte() {
        let folder = tempfile::tempdir().unwrap();
        let file = &FILES[3];
        let path = folder.path().join(file.name);
        assert!(!is_right(file, &path), "missing");
        unpack(file, &path).unwrap();
        assert!(is_right(file, &path));
        let good = fs::read(&path).unwrap();
        fs::write(&path, &good[..good.len() - 1]).unwrap();
        assert!(!is_right(file, &path), "truncated");
        let mut bad = good.clone();
        bad[5000] ^= 1;
        fs::write(&path, &bad).unwrap();
        assert!(!is_right(file, &path), "one bit flipped");
        unpack(file, &path).unwrap();
        assert!(fs::read(&path).unwrap() == good, "unpacked over a bad file");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file stays");
    }

    #[test]
    fn unpacking_at_once_neither_collides_nor_shows_half_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = &FILES[3];
        let path = folder.path().join(file.name);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        unpack(file, &path).unwrap();
                        assert!(is_right(file, &path));
                    }
                });
            }
        });
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
