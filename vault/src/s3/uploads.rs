//! Objects that are sent in parts, and what becomes of those that never got all of them.

use super::S3;
use super::body;
use super::notes::{Noted, Upload};
use super::put::Sent;
use super::read::unquoted;
use crate::transfer::ANSWER;
use crate::{Digest, Error, Key, Source};
use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart};
use futures_util::{StreamExt, TryStreamExt, stream};
use std::fs::File;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Parts are read from the disk as they are sent, so they cost no memory; this is what a broken connection costs.
const PART_BYTES: u64 = 16 * 1024 * 1024;
/// S3's limit.
const PARTS_MAX: u64 = 10_000;
/// Parts of one object that are on their way at once.
const PARTS_AT_ONCE: usize = 3;
/// S3 says that putting parts together may take minutes.
const COMPLETE: Duration = Duration::from_secs(300);
/// Nobody sends one object for that long: an upload that began before then has been given up, by whichever node.
const ORPHAN_AGE: Duration = Duration::from_secs(24 * 3600);

impl S3 {
    /// Sends a file in parts. What fails in the middle is ended; where that fails too, or this future is dropped, a note is
    /// left for [`S3::abort_orphans`].
    pub(super) async fn put_parts(
        &self,
        key: &Key,
        content_type: &str,
        source: &Source,
        file: &Arc<File>,
    ) -> Result<Sent, Error> {
        let noted = self.begin(key, content_type).await?;
        let sent = self.send_parts(&noted.upload, source, file).await;
        if sent.is_ok() || self.end(&noted.upload).await.is_ok() {
            noted.end().await;
        }
        sent
    }

    /// Ends uploads that were begun and given up: those noted by a process of this node that is dead, and those the store
    /// lists below our prefix that began a day before `now`. How many.
    pub async fn abort_orphans(&self, now: SystemTime) -> Result<u64, Error> {
        let mut ended = 0;
        for (note, upload) in self.notes.left_behind().await? {
            if upload.bucket == self.bucket {
                self.end(&upload).await?;
                self.notes.forget(note).await?;
                ended += 1;
            }
        }
        for upload in self.old_uploads(now).await? {
            if !self.notes.is_at(&upload) {
                self.end(&upload).await?;
                ended += 1;
            }
        }
        metrics::counter!("weir_vault_orphans_total").increment(ended);
        Ok(ended)
    }

    async fn begin(&self, key: &Key, content_type: &str) -> Result<Noted, Error> {
        let path = self.path(key);
        let begun = self.call("create_upload", self.asked("begin an upload in parts", &path), ANSWER, |_| {
            self.client
                .create_multipart_upload()
                .bucket(&self.bucket)
                .key(&path)
                .content_type(content_type)
                .checksum_algorithm(ChecksumAlgorithm::Crc32)
                .set_storage_class(self.storage_class.clone())
                .set_server_side_encryption(self.encryption.clone())
                .set_ssekms_key_id(self.kms_key_id.clone())
                .send()
        });
        let id = begun.await?.upload_id.unwrap_or_default();
        let upload = Upload { bucket: self.bucket.clone(), key: path, id };
        match self.notes.begin(upload.clone()).await {
            Ok(noted) => Ok(noted),
            Err(error) => {
                // Without a note nobody would find it; that the notes' disk is full is worse news than that this failed too.
                let _left = self.end(&upload).await;
                Err(error)
            }
        }
    }

    async fn send_parts(&self, upload: &Upload, source: &Source, file: &Arc<File>) -> Result<Sent, Error> {
        let parts = parts(source.digest.size_bytes).into_iter().zip(1..);
        let sending = stream::iter(parts.map(|(part, number)| self.put_part(upload, source, file, part, number)));
        let sent: Vec<(Digest, CompletedPart)> = sending.buffered(PARTS_AT_ONCE).try_collect().await?;
        let (digests, parts): (Vec<Digest>, Vec<CompletedPart>) = sent.into_iter().unzip();
        if digests.iter().copied().fold(Digest::default(), Digest::then) != source.digest {
            return Err(source.damaged());
        }
        let all = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let asked = self.asked("put parts together", &upload.key);
        let completed = self.call("complete_upload", asked, COMPLETE, |_| {
            let request = self.client.complete_multipart_upload().bucket(&upload.bucket).key(&upload.key);
            request.upload_id(&upload.id).multipart_upload(all.clone()).send()
        });
        match completed.await {
            Ok(answer) => Ok(Sent { etag: answer.e_tag.as_deref().map(unquoted), parts: digests }),
            // An answer that got lost: asked again, the store does not know the upload any more. The object will tell.
            Err(Error::NotFound { .. }) => Ok(Sent { etag: None, parts: digests }),
            Err(error) => Err(error),
        }
    }

    async fn put_part(
        &self,
        upload: &Upload,
        source: &Source,
        file: &Arc<File>,
        part: Range<u64>,
        number: i32,
    ) -> Result<(Digest, CompletedPart), Error> {
        let digest = source.measure(file, part.start, part.end - part.start).await?;
        if digest.size_bytes != part.end - part.start {
            return Err(source.damaged());
        }
        let put = self.call("put_part", self.asked("write a part", &upload.key), ANSWER, |transfer| {
            let body = body::of_file(source, file, part.clone(), &self.pace, transfer);
            let request = self.client.upload_part().bucket(&upload.bucket).key(&upload.key).upload_id(&upload.id);
            let size_bytes = i64::try_from(digest.size_bytes).unwrap_or(i64::MAX);
            let request = request.part_number(number).content_length(size_bytes).checksum_crc32(digest.header());
            request.body(body).send()
        });
        let put = put.await?;
        let completed = CompletedPart::builder().part_number(number).set_e_tag(put.e_tag);
        // Only a server that gives it back knows what it is.
        Ok((digest, completed.set_checksum_crc32(put.checksum_crc32).build()))
    }

    /// Ends an upload and frees its parts. One that is not there any more is no error.
    async fn end(&self, upload: &Upload) -> Result<(), Error> {
        let ended = self.call("abort_upload", self.asked("end an upload in parts", &upload.key), ANSWER, |_| {
            let request = self.client.abort_multipart_upload().bucket(&upload.bucket).key(&upload.key);
            request.upload_id(&upload.id).send()
        });
        match ended.await {
            Ok(_) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Uploads below our prefix that began a day before `now`; none where the store does not tell.
    async fn old_uploads(&self, now: SystemTime) -> Result<Vec<Upload>, Error> {
        let mut old = Vec::new();
        let mut marker = (None, None);
        loop {
            let listed = self.call("list_uploads", self.asked("list uploads in parts", &self.prefix), ANSWER, |_| {
                let request = self.client.list_multipart_uploads().bucket(&self.bucket).prefix(&self.prefix);
                request.set_key_marker(marker.0.clone()).set_upload_id_marker(marker.1.clone()).send()
            });
            let listed = match listed.await {
                Err(error @ (Error::Refused { .. } | Error::Denied { .. })) => {
                    tracing::debug!(%error, "uploads that are no longer noted can only be ended by a rule of the bucket");
                    return Ok(old);
                }
                listed => listed?,
            };
            for found in listed.uploads.unwrap_or_default() {
                let began = found.initiated.and_then(|at| SystemTime::try_from(at).ok());
                let is_old = began.is_some_and(|began| now.duration_since(began).is_ok_and(|age| age > ORPHAN_AGE));
                if let (true, Some(key), Some(id)) = (is_old, found.key, found.upload_id) {
                    old.push(Upload { bucket: self.bucket.clone(), key, id });
                }
            }
            let next = (listed.next_key_marker, listed.next_upload_id_marker);
            if listed.is_truncated != Some(true) || next.0.is_none() || next == marker {
                return Ok(old);
            }
            marker = next;
        }
    }
}

/// How an object of this size is cut: at most as many parts as S3 takes, all of one length but the last.
fn parts(size_bytes: u64) -> Vec<Range<u64>> {
    let part_bytes = PART_BYTES.max(size_bytes.div_ceil(PARTS_MAX));
    let starts = (0..size_bytes).step_by(usize::try_from(part_bytes).unwrap_or(usize::MAX));
    starts.map(|start| start..(start + part_bytes).min(size_bytes)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn parts_cover_an_object_and_are_not_too_many_nor_too_small(size_bytes in 1u64..(5 << 40)) {
            let parts = parts(size_bytes);
            prop_assert!(parts.len() as u64 <= PARTS_MAX);
            prop_assert_eq!((parts[0].start, parts[parts.len() - 1].end), (0, size_bytes));
            for pair in parts.windows(2) {
                prop_assert_eq!(pair[0].end, pair[1].start);
                // S3's least, for all but the last.
                prop_assert!(pair[0].end - pair[0].start >= 5 << 20);
            }
        }
    }
}
