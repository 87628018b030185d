//! Putting an object, and making sure that it is there.

use super::read::{Found, unquoted};
use super::{S3, body};
use crate::transfer::ANSWER;
use crate::{Digest, Error, Key, Source};
use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use std::fs::File;
use std::io;
use std::sync::Arc;
use tokio::task::spawn_blocking;

/// Up to here one request carries the whole object.
pub(super) const WHOLE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// What was sent, as the store may name it when asked.
#[derive(Debug, Default)]
pub(super) struct Sent {
    /// Of the store's answer to the upload.
    pub etag: Option<String>,
    /// Checksums of what was sent in parts.
    pub parts: Vec<Digest>,
}

impl S3 {
    /// Sends a file's bytes, in parts if there are many.
    pub async fn put_file(self: &Arc<Self>, key: &Key, content_type: &str, source: &Source) -> Result<(), Error> {
        let opening = source.clone();
        let opened = spawn_blocking(move || opening.open()).await;
        let file = Arc::new(opened.unwrap_or_else(|error| Err(source.unreadable(io::Error::other(error))))?);
        let sent = if source.digest.size_bytes > WHOLE_BYTES_MAX {
            self.put_parts(key, content_type, source, &file).await?
        } else {
            self.put_whole(key, content_type, source, &file).await?
        };
        self.prove(key, source.digest, sent).await
    }

    /// Sends bytes that are in memory.
    pub async fn put_bytes(self: &Arc<Self>, key: &Key, content_type: &str, bytes: Bytes) -> Result<(), Error> {
        let (path, digest) = (self.path(key), Digest::of(&bytes));
        let put = self.call("put", self.asked("write an object", &path), ANSWER, |transfer| {
            transfer.moved(bytes.len(), true);
            self.put_request(&path, content_type, digest).body(ByteStream::from(bytes.clone())).send()
        });
        let etag = put.await?.e_tag.as_deref().map(unquoted);
        self.prove(key, digest, Sent { etag, parts: Vec::new() }).await
    }

    /// Whether the store holds this: by the checksum it computed, else by reading the object.
    pub async fn verify(self: &Arc<Self>, key: &Key, digest: Digest) -> Result<(), Error> {
        self.prove(key, digest, Sent::default()).await
    }

    async fn put_whole(&self, key: &Key, content_type: &str, source: &Source, file: &Arc<File>) -> Result<Sent, Error> {
        let (path, digest) = (self.path(key), source.digest);
        // Read once before it is sent, and then from memory: so damage of this disk is told from damage on the way.
        if source.measure(file, 0, digest.size_bytes).await? != digest {
            return Err(source.damaged());
        }
        let put = self.call("put", self.asked("write an object", &path), ANSWER, |transfer| {
            let body = body::of_file(source, file, 0..digest.size_bytes, &self.pace, transfer);
            self.put_request(&path, content_type, digest).body(body).send()
        });
        let etag = put.await?.e_tag.as_deref().map(unquoted);
        Ok(Sent { etag, parts: Vec::new() })
    }

    fn put_request(&self, path: &str, content_type: &str, digest: Digest) -> PutObjectFluentBuilder {
        self.client
            .put_object()
            .bucket(&self.bucket)
            .key(path)
            .content_type(content_type)
            .content_length(i64::try_from(digest.size_bytes).unwrap_or(i64::MAX))
            .checksum_crc32(digest.header())
            .set_storage_class(self.storage_class.clone())
            .set_server_side_encryption(self.encryption.clone())
            .set_ssekms_key_id(self.kms_key_id.clone())
    }

    /// Asks the store what it holds, and reads the object when its answer proves nothing: when it computes no checksums or another
    /// one, or names another version than the one that was sent. What was read decides.
    async fn prove(self: &Arc<Self>, key: &Key, digest: Digest, sent: Sent) -> Result<(), Error> {
        let path = self.path(key);
        let found = match self.look(&path).await {
            Err(Error::NotFound { .. }) if sent.etag.is_some() || !sent.parts.is_empty() => {
                return Err(Error::Mismatch { key: path, what: "it is not there".into() });
            }
            found => found?,
        };
        let of_size = Digest { size_bytes: found.size_bytes, crc32: digest.crc32 };
        of_size.compare(digest, &path)?;
        if is_proof(&found, digest, &sent) {
            return Ok(());
        }
        metrics::counter!("weir_vault_read_back_total").increment(1);
        self.digest(key, digest.size_bytes).await?.compare(digest, &path)
    }
}

/// Whether what the store says of an object can only be said of what was sent. If not, that may still be there.
fn is_proof(found: &Found, digest: Digest, sent: &Sent) -> bool {
    let is_other_version = sent.etag.is_some() && found.etag.is_some() && sent.etag != found.etag;
    // Behind a checksum of checksums stands how many there are.
    let crc32 = found.crc32.as_deref().and_then(|text| text.split('-').next());
    let is_of_parts = |crc32: &str| !sent.parts.is_empty() && crc32 == Digest::header_of_parts(&sent.parts);
    !is_other_version && crc32.is_some_and(|crc32| crc32 == digest.header() || is_of_parts(crc32))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENT: &[u8] = b"123456789";

    fn check(etag: Option<&str>, crc32: Option<String>, parts: Vec<Digest>, is_proven: bool) {
        let found = Found { size_bytes: 9, modified: None, etag: etag.map(str::to_owned), crc32: crc32.clone() };
        let sent = Sent { etag: Some("e".into()), parts };
        assert_eq!(is_proof(&found, Digest::of(SENT), &sent), is_proven, "{etag:?} {crc32:?}");
    }

    #[test]
    fn only_a_checksum_of_the_very_version_that_was_sent_proves_anything() {
        let whole = || Some(Digest::of(SENT).header());
        check(Some("e"), whole(), Vec::new(), true);
        check(None, whole(), Vec::new(), true);
        check(Some("e"), Some(Digest::of(b"other").header()), Vec::new(), false);
        check(Some("another"), whole(), Vec::new(), false);
        check(Some("e"), None, Vec::new(), false);
    }

    #[test]
    fn an_object_in_parts_is_known_by_the_checksum_of_their_checksums() {
        let parts = || vec![Digest::of(&SENT[..4]), Digest::of(&SENT[4..])];
        let of = |parts: &[Digest]| Some(format!("{}-2", Digest::header_of_parts(parts)));
        check(Some("e"), of(&parts()), parts(), true);
        check(Some("e"), of(&[parts()[1], parts()[0]]), parts(), false);
        check(Some("e"), of(&parts()), Vec::new(), false);
        // Servers may also give the whole object's.
        check(Some("e"), Some(Digest::of(SENT).header()), parts(), true);
    }
}
