//! Secrets that must be read again, such as the keys of other services: sealed with a key that is not in the database.

use crate::Error;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use data_encoding::{BASE64, HEXLOWER};
use std::fmt;

const PREFIX: &str = "wm_";
const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;
/// Characters of a key's id.
const ID_CHARS: usize = 12;
/// The form of what is sealed; another form gets another number.
const FORM: &str = "1";

/// The key that seals secrets: 256 random bits, written `wm_` + 64 hex digits. It lies outside the database, so that a copy of
/// that is of no use. No `Display`, redacted `Debug`.
#[derive(Clone)]
pub struct MasterKey {
    bytes: [u8; KEY_BYTES],
    id: String,
}

impl MasterKey {
    /// A new key.
    ///
    /// # Errors
    /// [`Error::NoRandomness`].
    pub fn generate() -> Result<Self, Error> {
        let mut bytes = [0; KEY_BYTES];
        aws_lc_rs::rand::fill(&mut bytes).map_err(|_| Error::NoRandomness)?;
        Ok(Self::of(bytes))
    }

    /// Reads a key file's text, white space around it ignored; `None` when it has not the shape of one.
    pub fn parse(given: &str) -> Option<Self> {
        let hex = given.trim().strip_prefix(PREFIX)?;
        let bytes = HEXLOWER.decode(hex.as_bytes()).ok()?;
        Some(Self::of(bytes.try_into().ok()?))
    }

    fn of(bytes: [u8; KEY_BYTES]) -> Self {
        // A hash of the key with a word of its own, so that the id tells nothing of the key.
        let id = crate::secret::hash_text(&format!("master key id {}", HEXLOWER.encode(&bytes)));
        Self { bytes, id: id[..ID_CHARS].to_owned() }
    }

    /// The key in clear, for its 0600 file.
    pub fn reveal(&self) -> String {
        format!("{PREFIX}{}", HEXLOWER.encode(&self.bytes))
    }

    /// Which key it is: 12 characters that may be shown.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Seals a secret of `owner`, the id of the row it belongs to: in another row it does not open.
    ///
    /// # Errors
    /// [`Error::NoRandomness`].
    pub fn seal(&self, owner: &str, secret: &str) -> Result<Sealed, Error> {
        let mut nonce = [0; NONCE_BYTES];
        aws_lc_rs::rand::fill(&mut nonce).map_err(|_| Error::NoRandomness)?;
        let payload = Payload { msg: secret.as_bytes(), aad: owner.as_bytes() };
        // Only a secret of 256 GiB is too long for it.
        let sealed = self.cipher().encrypt(&XNonce::from(nonce), payload).map_err(|_| Error::NoRandomness)?;
        let text = format!("{FORM}.{}", BASE64.encode(&[&nonce[..], &sealed].concat()));
        Ok(Sealed { text, key_id: self.id.clone() })
    }

    /// The secret of `owner` in clear.
    ///
    /// # Errors
    /// [`Error::OtherMasterKey`] when it was sealed with another key, [`Error::Unreadable`] when it was tampered with or belongs to
    /// another row.
    pub fn open(&self, owner: &str, sealed: &Sealed) -> Result<String, Error> {
        if sealed.key_id != self.id {
            return Err(Error::OtherMasterKey { key_id: sealed.key_id.clone() });
        }
        let unreadable = || Error::Unreadable { what: format!("the sealed secret of {owner}") };
        let text = sealed.text.strip_prefix(FORM).and_then(|rest| rest.strip_prefix('.')).ok_or_else(unreadable)?;
        let bytes = BASE64.decode(text.as_bytes()).map_err(|_| unreadable())?;
        let (nonce, body) = bytes.split_first_chunk::<NONCE_BYTES>().ok_or_else(unreadable)?;
        let payload = Payload { msg: body, aad: owner.as_bytes() };
        let secret = self.cipher().decrypt(&XNonce::from(*nonce), payload).map_err(|_| unreadable())?;
        String::from_utf8(secret).map_err(|_| unreadable())
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&self.bytes.into())
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({}, redacted)", self.id)
    }
}

/// A secret as the database holds it. Redacted `Debug`, as nobody has to see even that.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    pub(crate) text: String,
    pub(crate) key_id: String,
}

impl Sealed {
    /// The id of the master key that opens it.
    pub fn master_key_id(&self) -> &str {
        &self.key_id
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed(with {})", self.key_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_secret_opens_with_its_key_and_in_its_row_alone() {
        let (key, other) = (MasterKey::generate().unwrap(), MasterKey::generate().unwrap());
        let sealed = key.seal("row-1", "live_123").unwrap();
        let again = MasterKey::parse(&format!("{}\n", key.reveal())).unwrap();
        assert_eq!(again.open("row-1", &sealed).unwrap(), "live_123");
        assert!(matches!(other.open("row-1", &sealed), Err(Error::OtherMasterKey { key_id }) if key_id == key.id()));
        assert!(matches!(key.open("row-2", &sealed), Err(Error::Unreadable { .. })));
        assert_ne!(key.seal("row-1", "live_123").unwrap(), sealed, "no two look alike");
    }

    #[test]
    fn nothing_secret_shows_in_debug() {
        let key = MasterKey::generate().unwrap();
        let sealed = key.seal("row", "live_123").unwrap();
        let shown = format!("{key:?} {sealed:?}");
        assert_eq!(shown, format!("MasterKey({0}, redacted) Sealed(with {0})", key.id()));
        assert!(!sealed.text.contains("live_123") && !key.reveal().contains(key.id()));
    }

    proptest! {
        #[test]
        fn one_changed_character_is_refused(at in 2usize..60, to in "[A-Za-z0-9+/]") {
            let key = MasterKey::generate().unwrap();
            let sealed = key.seal("row", "a secret of some length").unwrap();
            let mut text = sealed.text.clone();
            text.replace_range(at..=at, &to);
            let same = text == sealed.text;
            let opened = key.open("row", &Sealed { text, ..sealed });
            prop_assert_eq!(opened.is_ok(), same);
        }

        #[test]
        fn any_text_is_refused_without_a_panic(text in "\\PC{0,80}|1\\.[A-Za-z0-9+/=]{0,80}") {
            let key = MasterKey::generate().unwrap();
            let sealed = Sealed { text, key_id: key.id().to_owned() };
            prop_assert!(key.open("row", &sealed).is_err());
        }

        #[test]
        fn any_text_is_a_key_or_is_not(text in "(wm_)?[0-9a-f]{60,66}|\\PC{0,80}") {
            if let Some(key) = MasterKey::parse(&text) {
                prop_assert_eq!(key.reveal(), text.trim());
            }
        }
    }
}
