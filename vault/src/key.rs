use crate::Error;
use std::fmt;

/// A file name on every file system that matters has room for this.
const PART_BYTES_MAX: usize = 255;

/// The name of an object: parts between slashes, as in `rec/7f3a/0000.m4s`.
///
/// 1 to [`Key::BYTES_MAX`] bytes of UTF-8 without control characters and backslashes. No part is empty, begins with a dot or
/// has more than 255 bytes. So a key is a path below any folder, and never one out of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(String);

impl Key {
    /// The longest key. S3 allows 1,024 bytes; a vault may put a prefix in front.
    pub const BYTES_MAX: usize = 512;

    /// Checks a name.
    ///
    /// # Errors
    /// [`Error::BadKey`] with what is wrong about it.
    pub fn new(text: impl Into<String>) -> Result<Self, Error> {
        let text = text.into();
        match offence(&text) {
            None => Ok(Self(text)),
            Some(why) => Err(Error::BadKey { key: text.chars().take(64).collect(), why }),
        }
    }

    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its parts in order; at least one.
    pub(crate) fn parts(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn offence(text: &str) -> Option<&'static str> {
    if text.len() > Key::BYTES_MAX {
        return Some("it has more than 512 bytes");
    }
    if text.chars().any(|c| c.is_control() || c == '\\') {
        return Some("it holds a control character or a backslash");
    }
    text.split('/').find_map(|part| match part {
        "" => Some("a part of it is empty"),
        part if part.starts_with('.') => Some("a part of it begins with a dot"),
        part if part.len() > PART_BYTES_MAX => Some("a part of it has more than 255 bytes"),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::path::{Component, Path};

    #[test]
    fn names_that_could_lead_elsewhere_are_refused() {
        for good in ["a", "rec/7f3a/0000.m4s", "größe/ü.mp4", "a b/c", &"x".repeat(255)] {
            assert_eq!(Key::new(good).expect(good).as_str(), good);
        }
        for bad in [
            "",
            "/",
            "/a",
            "a/",
            "a//b",
            "..",
            "a/../b",
            "./a",
            "a/.",
            ".incoming/x",
            "a\\..\\b",
            "a\0",
            "a\nb",
            "\u{85}",
        ] {
            assert!(matches!(Key::new(bad), Err(Error::BadKey { .. })), "{bad:?}");
        }
        assert!(Key::new("x".repeat(256)).is_err());
        assert!(Key::new(format!("{}/{}", "x".repeat(255), "y".repeat(255))).is_ok());
        assert!(Key::new("x/".repeat(256) + "y").is_err());
    }

    proptest! {
        #[test]
        fn a_key_is_a_path_below_its_folder(text in "[./a\\\\\\x00ü]{0,12}") {
            if let Ok(key) = Key::new(text.clone()) {
                prop_assert!(Path::new(key.as_str()).components().all(|part| matches!(part, Component::Normal(_))));
                prop_assert_eq!(key.parts().collect::<Vec<_>>().join("/"), text);
            }
        }
    }
}
