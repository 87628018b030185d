use crate::Error;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use data_encoding::{Encoding, HEXLOWER, Specification};
use std::fmt;
use std::sync::OnceLock;

const KEY_PREFIX: &str = "wk_";
const TOKEN_PREFIX: &str = "wt_";
const SIGN_IN_PREFIX: &str = "ws_";
/// More than 256 bits, and a multiple of 5 bytes, which needs no padding.
const SIGN_IN_BYTES: usize = 35;
const SIGN_IN_CHARS: usize = 56;
/// 5 bytes are 8 base32 characters without padding: enough to find a key by, too few to guess one with.
const ID_BYTES: usize = 5;
const ID_CHARS: usize = 8;
/// 160 bits, so that a plain SHA-256 protects it at rest and no guessing budget matters.
const SECRET_BYTES: usize = 20;
const SECRET_CHARS: usize = 32;

/// What a streamer pastes into the encoder: `wk_` + 8 characters of public id + `_` + 32 characters of secret, base32 in
/// lower case. It has no `Display` and its `Debug` shows the public id alone.
#[derive(Clone)]
pub struct StreamKey {
    text: String,
}

impl StreamKey {
    /// A new key of 160 random bits with a random id.
    ///
    /// # Errors
    /// [`Error::NoRandomness`].
    pub fn generate() -> Result<Self, Error> {
        let text = format!("{KEY_PREFIX}{}_{}", random_text::<ID_BYTES>()?, random_text::<SECRET_BYTES>()?);
        Ok(Self { text })
    }

    /// Reads a key as somebody gave it, white space around it ignored; `None` when it has not the shape of one.
    pub fn parse(given: &str) -> Option<Self> {
        let text = given.trim();
        let (id, secret) = text.strip_prefix(KEY_PREFIX)?.split_once('_')?;
        let shaped = |part: &str, chars| part.len() == chars && part.bytes().all(is_base32);
        (shaped(id, ID_CHARS) && shaped(secret, SECRET_CHARS)).then(|| Self { text: text.to_owned() })
    }

    /// The public id, which may be logged and shown.
    pub fn id(&self) -> &str {
        &self.text[KEY_PREFIX.len()..KEY_PREFIX.len() + ID_CHARS]
    }

    /// The whole key in clear. Only for showing it once to the operator, a 0600 file, or the wire.
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// Whether `other` is the same key, compared in constant time.
    pub fn is_same(&self, other: &Self) -> bool {
        equal(&hash_text(&self.text), &hash_text(&other.text))
    }

    /// SHA-256 of the secret part, in hex: what the database holds.
    pub(crate) fn hash(&self) -> String {
        hash_text(&self.text[self.text.len() - SECRET_CHARS..])
    }

    /// Whether `hash` is this key's, compared in constant time.
    pub(crate) fn matches(&self, hash: &str) -> bool {
        equal(&self.hash(), hash)
    }
}

impl fmt::Debug for StreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StreamKey({}, redacted)", self.id())
    }
}

/// The bearer token of the API: `wt_` + 32 characters of base32. No `Display`, redacted `Debug`.
#[derive(Clone)]
pub struct ApiToken {
    text: String,
}

impl ApiToken {
    /// A new token of 160 random bits.
    ///
    /// # Errors
    /// [`Error::NoRandomness`].
    pub fn generate() -> Result<Self, Error> {
        Ok(Self { text: format!("{TOKEN_PREFIX}{}", random_text::<SECRET_BYTES>()?) })
    }

    /// Reads a token file's text, white space around it ignored; `None` when it has not the shape of one.
    pub fn parse(given: &str) -> Option<Self> {
        let text = given.trim();
        let secret = text.strip_prefix(TOKEN_PREFIX)?;
        (secret.len() == SECRET_CHARS && secret.bytes().all(is_base32)).then(|| Self { text: text.to_owned() })
    }

    /// The token in clear, for its 0600 file and the `Authorization` header.
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// Whether `given` is this token. Hashes of both are compared in constant time, so neither its length nor how much
    /// of it is right shows in the time taken.
    pub fn matches(&self, given: &str) -> bool {
        equal(&hash_text(&self.text), &hash_text(given))
    }
}

/// Of whoever may read how one stream does, and nothing else: `wd_` + 32 characters of base32.
const DOCK_PREFIX: &str = "wd_";

impl ApiToken {
    /// A token that opens one stream's health and numbers for reading, for a page in OBS. It is made from this one (HMAC-SHA256
    /// over the stream's name), so it needs no storage, and ends with it.
    pub fn dock(&self, stream: &str) -> String {
        format!("{DOCK_PREFIX}{}", self.derived("dock", stream))
    }

    /// Whether `given` is [`ApiToken::dock`] of this stream, compared in constant time.
    pub fn dock_matches(&self, stream: &str, given: &str) -> bool {
        equal(&hash_text(&self.dock(stream)), &hash_text(given))
    }

    /// What the address of a stream's rehearsals holds: 32 characters of base32. Who knows it may watch them. Made as
    /// [`ApiToken::dock`] is.
    pub fn preview(&self, stream: &str) -> String {
        self.derived("preview", stream)
    }

    /// Whether `given` is [`ApiToken::preview`] of this stream, compared in constant time.
    pub fn preview_matches(&self, stream: &str, given: &str) -> bool {
        equal(&hash_text(&self.preview(stream)), &hash_text(given))
    }

    /// A secret of 256 bits for one purpose (HMAC-SHA-256 over its name), which tells nothing of this one or of others. Purposes
    /// begin with different words.
    pub(crate) fn derive(&self, purpose: &str) -> hmac::Tag {
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, self.text.as_bytes()), purpose.as_bytes())
    }

    fn derived(&self, purpose: &str, stream: &str) -> String {
        let tag = self.derive(&format!("{purpose} {stream}"));
        base32().encode(&tag.as_ref()[..SECRET_BYTES])
    }
}

/// What a browser that was signed in shows instead of the API token: `ws_` + 56 characters of base32. No `Display`, redacted
/// `Debug`.
#[derive(Clone)]
pub struct SignInSecret {
    text: String,
}

impl SignInSecret {
    pub(crate) fn generate() -> Result<Self, Error> {
        Ok(Self { text: format!("{SIGN_IN_PREFIX}{}", random_text::<SIGN_IN_BYTES>()?) })
    }

    pub(crate) fn parse(given: &str) -> Option<Self> {
        let secret = given.strip_prefix(SIGN_IN_PREFIX)?;
        (secret.len() == SIGN_IN_CHARS && secret.bytes().all(is_base32)).then(|| Self { text: given.to_owned() })
    }

    /// In clear, for the cookie.
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// What the database holds: of the secret and the token it was given for.
    pub(crate) fn hash(&self, token: &ApiToken) -> String {
        hash_text(&format!("{} {}", self.text, token.text))
    }
}

impl fmt::Debug for SignInSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignInSecret(redacted)")
    }
}

impl fmt::Debug for ApiToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiToken(redacted)")
    }
}

/// Whether two secrets are the same. Hashes of both are compared in constant time, so neither a length nor how much of one is
/// right shows in the time taken.
pub fn is_same_secret(known: &str, given: &str) -> bool {
    equal(&hash_text(known), &hash_text(given))
}

/// SHA-256 of the text's bytes, lower-case hex.
pub(crate) fn hash_text(text: &str) -> String {
    HEXLOWER.encode(digest(&SHA256, text.as_bytes()).as_ref())
}

fn equal(a: &str, b: &str) -> bool {
    verify_slices_are_equal(a.as_bytes(), b.as_bytes()).is_ok()
}

fn is_base32(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'2'..=b'7')
}

fn random_text<const BYTES: usize>() -> Result<String, Error> {
    let mut bytes = [0; BYTES];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| Error::NoRandomness)?;
    Ok(base32().encode(&bytes))
}

/// RFC 4648 base32 in lower case, without padding.
fn base32() -> &'static Encoding {
    static BASE32: OnceLock<Encoding> = OnceLock::new();
    BASE32.get_or_init(|| {
        let mut specification = Specification::new();
        specification.symbols.push_str("abcdefghijklmnopqrstuvwxyz234567");
        specification.encoding().expect("32 distinct symbols make an encoding")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_back_and_matches_only_itself() {
        let key = StreamKey::generate().unwrap();
        assert_eq!(key.reveal().len(), 44);
        let again = StreamKey::parse(&format!(" {}\n", key.reveal())).unwrap();
        assert!(again.matches(&key.hash()));
        assert!(!StreamKey::generate().unwrap().matches(&key.hash()));
    }

    #[test]
    fn no_secret_shows_in_debug() {
        let key = StreamKey::generate().unwrap();
        let shown = format!("{key:?}");
        assert!(shown.contains(key.id()) && !shown.contains(&key.reveal()[12..]), "{shown}");
        assert_eq!(format!("{:?}", ApiToken::generate().unwrap()), "ApiToken(redacted)");
    }

    #[test]
    fn a_token_matches_only_itself() {
        let token = ApiToken::generate().unwrap();
        assert!(ApiToken::parse(token.reveal()).unwrap().matches(token.reveal()));
        assert!(!token.matches("") && !token.matches(ApiToken::generate().unwrap().reveal()));
    }

    #[test]
    fn a_docks_token_opens_its_own_stream_alone() {
        let token = ApiToken::generate().unwrap();
        let dock = token.dock("show");
        assert_eq!(dock.len(), DOCK_PREFIX.len() + SECRET_CHARS);
        assert!(token.dock_matches("show", &dock));
        assert!(!token.dock_matches("shows", &dock) && !token.matches(&dock));
        assert!(!ApiToken::generate().unwrap().dock_matches("show", &dock));
    }

    #[test]
    fn a_previews_address_opens_its_own_stream_alone() {
        let token = ApiToken::generate().unwrap();
        let preview = token.preview("show");
        assert!(token.preview_matches("show", &preview) && preview.len() == SECRET_CHARS);
        assert!(!token.preview_matches("shows", &preview) && !token.dock_matches("show", &preview));
        assert!(!ApiToken::generate().unwrap().preview_matches("show", &preview));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_key_or_is_not(text in "\\PC{0,60}") {
            if let Some(key) = StreamKey::parse(&text) {
                proptest::prop_assert_eq!(key.reveal(), text.trim());
            }
            let _ = ApiToken::parse(&text);
        }

        #[test]
        fn one_changed_character_is_refused(at in 12usize..44, to in "[a-z2-7]") {
            let key = StreamKey::generate().unwrap();
            let mut text = key.reveal().to_owned();
            text.replace_range(at..=at, &to);
            let same = text == key.reveal();
            proptest::prop_assert_eq!(StreamKey::parse(&text).unwrap().matches(&key.hash()), same);
        }
    }
}
