//! What viewers see while a stream's publisher is away, and the image some streams have for it.

use crate::{Error, Store};
use data_encoding::BASE64;

/// Largest image kept, bytes: a JPEG as the server makes it of what was sent.
pub(crate) const IMAGE_BYTES_MAX: usize = 1 << 20;

/// What viewers see while the publisher is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Slate {
    /// The last picture.
    #[default]
    Last,
    /// The stream's own image.
    Image,
    /// Nothing: gaps.
    Off,
}

impl Slate {
    /// `last`, `image` or `off`, as it is stored and typed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Last => "last",
            Self::Image => "image",
            Self::Off => "off",
        }
    }
}

impl std::str::FromStr for Slate {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "last" => Ok(Self::Last),
            "image" => Ok(Self::Image),
            "off" => Ok(Self::Off),
            _ => Err(Error::BadSetting { setting: "slate", why: "neither last, image nor off".into() }),
        }
    }
}

/// The stream `name` has none to be shown.
pub(crate) fn no_image(name: &str) -> Error {
    let why = format!("there is no image; send one first, with PUT /api/v1/streams/{name}/slate");
    Error::BadSetting { setting: "slate", why }
}

/// # Errors
/// [`Error::BadSetting`] for what is no JPEG or too large.
pub(crate) fn to_text(image: &[u8]) -> Result<String, Error> {
    let bad = |why: &str| Error::BadSetting { setting: "slate", why: why.into() };
    if !image.starts_with(&[0xff, 0xd8]) {
        return Err(bad("the image is no JPEG"));
    }
    if image.len() > IMAGE_BYTES_MAX {
        return Err(bad("the image is larger than 1 MiB"));
    }
    Ok(BASE64.encode(image))
}

impl Store {
    /// The image a stream shows while its publisher is away, a JPEG; `None` when it has none.
    ///
    /// # Errors
    /// When the database does not answer, or holds something else.
    pub async fn slate_image(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        const IMAGE: &str =
            "select i.image from stream_slates i join streams s on s.id = i.stream_id where s.name = $1";
        let rows = self.database().fetch("read the slate", IMAGE, &[name.into()]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let image = BASE64.decode(row.text(0)?.as_bytes());
        image.map(Some).map_err(|e| Error::Unreadable { what: format!("stream_slates.image: {e}") })
    }
}
