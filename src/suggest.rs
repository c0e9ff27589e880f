//! "Did you mean": the known name nearest to a given one.

/// Names longer than this are no slips of the finger.
const LONGEST: usize = 80;

/// The known name nearest to `name`, if it is near: a letter wrong, and one more for every four letters, up to three.
/// Case and the two dashes do not count.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| text.to_lowercase().replace('_', "-");
    let letters = name.chars().count();
    if name.is_empty() || letters > LONGEST {
        return None;
    }
    let most = (1 + letters / 4).min(3);
    let far = |known: &str| strsim::damerau_levenshtein(&plain(name), &plain(known));
    // What has nothing of the name left is not near, however short both are.
    let near = known.into_iter().map(|known| (far(known), known)).filter(|&(far, _)| far <= most && far < letters);
    near.min_by_key(|&(far, _)| far).map(|(_, known)| known)
}

/// The end of a sentence that says what may have been meant: empty where nothing is near.
pub fn hint<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(name, known).map_or_else(String::new, |near| format!("; did you mean '{near}'?"))
}

/// The sentence for a name that nothing has: `no model 'x'; did you mean 'y'? Expected y, z`. `others` is what else
/// would do, such as ` or a file`.
pub fn unknown(what: &str, name: &str, known: &[&str], others: &str) -> String {
    let shown: String = name.chars().take(LONGEST).collect();
    let expected = format!("{}{others}", known.join(", "));
    match nearest(name, known.iter().copied()) {
        Some(near) => format!("no {what} '{}'; did you mean '{near}'? Expected {expected}", shown.escape_debug()),
        None => format!("no {what} '{}'; expected {expected}", shown.escape_debug()),
    }
}

/// The hint for a message that puts the name that was found, and then those that are known, between backquotes, as
/// serde does.
pub(crate) fn hint_in(message: &str) -> String {
    let mut quoted = message.split('`').skip(1).step_by(2);
    quoted.next().map_or_else(String::new, |found| hint(found, quoted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_near_and_other_words_are_not() {
        let models = ["mnist-cnn", "mnist-deep"];
        for (name, want) in [
            ("mnist-cn", Some("mnist-cnn")),
            ("mnist_cnn", Some("mnist-cnn")),
            ("MNIST-CNN", Some("mnist-cnn")),
            ("minst-cnn", Some("mnist-cnn")),
            ("mnist-dep", Some("mnist-deep")),
            ("mnist-depe", Some("mnist-deep")),
            ("mnist", None),
            ("resnet-50", None),
            ("", None),
        ] {
            assert_eq!(nearest(name, models), want, "{name}");
        }
        for (name, want) in [("sdg", Some("sgd")), ("adm", Some("adam")), ("x", None), ("lion", None)] {
            assert_eq!(nearest(name, ["adam", "adamw", "sgd"]), want, "{name}");
        }
        assert_eq!(nearest(&"x".repeat(1 << 20), ["x"]), None);
        assert_eq!(nearest(&"x".repeat(LONGEST), [&*"x".repeat(LONGEST - 1)]), Some(&*"x".repeat(LONGEST - 1)));
    }

    #[test]
    fn sentences() {
        let models = ["mnist-cnn", "mnist-deep"];
        let want = "no model 'mnist-cn'; did you mean 'mnist-cnn'? Expected mnist-cnn, mnist-deep or a file";
        assert_eq!(unknown("model", "mnist-cn", &models, " or a file"), want);
        assert_eq!(unknown("model", "a\nb", &models, ""), "no model 'a\\nb'; expected mnist-cnn, mnist-deep");
        let serde = "unknown variant `adm`, expected one of `adam`, `adamw`, `sgd`";
        assert_eq!(hint_in(serde), "; did you mean 'adam'?");
        assert_eq!(hint_in("invalid type: string, expected f64"), "");
    }
}
