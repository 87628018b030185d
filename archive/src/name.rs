//! Names of sessions and reels, which are also their folders: `ROOT/STREAM/SESSION/MSN-SERIAL`. Nothing becomes a path that was
//! not checked here.

use crate::Error;
use std::fmt;
use std::path::{Path, PathBuf};

/// The longest name of a stream, a session or a rendition, in bytes.
const BYTES_MAX: usize = 64;
/// Numbers are below this, so that sums of them can't overflow.
pub(crate) const MSN_MAX: u64 = 1 << 62;

/// 1 to 64 bytes of letters, digits, `-` and `_`: can neither climb out of a folder nor hide in it.
pub(crate) fn is_safe(text: &str) -> bool {
    let clean = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=BYTES_MAX).contains(&text.len()) && text.bytes().all(clean)
}

/// One session of one stream.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionName {
    stream: String,
    session: String,
}

impl SessionName {
    /// A session by its stream's public name and its own ([`packager::Window::session`]).
    ///
    /// # Errors
    /// [`Error::Name`] when one of the two is not 1 to 64 letters, digits, `-` and `_`.
    pub fn new(stream: &str, session: &str) -> Result<Self, Error> {
        match [stream, session].into_iter().find(|text| !is_safe(text)) {
            Some(text) => Err(Error::Name { name: text.chars().take(BYTES_MAX).collect() }),
            None => Ok(Self { stream: stream.to_owned(), session: session.to_owned() }),
        }
    }

    /// The stream's public name.
    pub fn stream(&self) -> &str {
        &self.stream
    }

    /// The session's own name.
    pub fn session(&self) -> &str {
        &self.session
    }

    pub(crate) fn folder(&self, root: &Path) -> PathBuf {
        root.join(&self.stream).join(&self.session)
    }
}

impl fmt::Display for SessionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.stream, self.session)
    }
}

/// One reel of a session. Shown as `MSN-SERIAL`, the name of its folder, which never comes twice in a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReelName {
    /// The number of its first segment.
    pub first_msn: u64,
    /// Its place among the session's reels; what a later one has, it has instead of an earlier one.
    pub serial: u32,
}

impl ReelName {
    /// Reads the name of a folder; `None` for anything but its one spelling.
    pub fn parse(text: &str) -> Option<Self> {
        let (first_msn, serial) = text.split_once('-')?;
        let name = Self { first_msn: first_msn.parse().ok()?, serial: serial.parse().ok()? };
        (name.first_msn < MSN_MAX && name.to_string() == text).then_some(name)
    }
}

impl fmt::Display for ReelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first_msn, self.serial)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_that_could_be_paths_are_refused() {
        for bad in ["", ".", "..", "a/b", "a\\b", "a.b", "ä", "a b", "\0", &"a".repeat(65)] {
            assert!(SessionName::new(bad, "s").is_err() && SessionName::new("s", bad).is_err(), "{bad:?}");
        }
        assert_eq!(SessionName::new("my-show_1", "18c-A7").unwrap().to_string(), "my-show_1/18c-A7");
    }

    #[test]
    fn a_reel_has_one_spelling() {
        assert_eq!(ReelName::parse("128-3"), Some(ReelName { first_msn: 128, serial: 3 }));
        for bad in ["", "128", "128-", "-3", "0128-3", "+128-3", "128-3.dead", "128-3-4", "99999999999999999999-1"] {
            assert_eq!(ReelName::parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_reel_reads_back(first_msn in 0..MSN_MAX, serial: u32) {
            let name = ReelName { first_msn, serial };
            prop_assert_eq!(ReelName::parse(&name.to_string()), Some(name));
        }
    }
}
