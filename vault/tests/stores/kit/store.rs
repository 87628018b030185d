//! An S3 server on a free port: s3s-fs, with what it lacks (listing uploads in parts) and what it may be told to lack.

use async_trait::async_trait;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::dto::*;
use s3s::service::S3ServiceBuilder;
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};
use s3s_fs::FileSystem;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

pub const BUCKET: &str = "recordings";
pub const ACCESS_KEY: &str = "AKIDVAULT";
pub const SECRET_KEY: &str = "secret-of-the-vault";

/// A running server with one bucket. Dropping it stops it.
pub struct Store {
    pub address: SocketAddr,
    root: TempDir,
    uploads: Uploads,
    _server: JoinSet<()>,
}

/// Key and id of every upload in parts, and when it began.
type Uploads = Arc<Mutex<BTreeMap<(String, String), SystemTime>>>;

/// What a server of this kind can do.
#[derive(Debug, Clone, Copy)]
pub struct Skills {
    /// It gives checksums back, as Amazon does.
    pub checksums: bool,
    /// It lists uploads in parts.
    pub lists_uploads: bool,
}

impl Store {
    /// A server like Amazon's.
    pub async fn start() -> Self {
        Self::start_with(Skills { checksums: true, lists_uploads: true }).await
    }

    pub async fn start_with(skills: Skills) -> Self {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join(BUCKET)).unwrap();
        let uploads = Uploads::default();
        let served = Served {
            files: FileSystem::new(root.path()).unwrap(),
            root: root.path().to_owned(),
            skills,
            uploads: Arc::clone(&uploads),
        };
        let mut service = S3ServiceBuilder::new(served);
        service.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let service = service.build();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut server = JoinSet::new();
        server.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                let service = service.clone();
                connections.spawn(async move {
                    let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(socket), service).await;
                });
            }
        });
        Self { address, root, uploads, _server: server }
    }

    /// Where the server keeps an object, its key with the vault's prefix.
    pub fn path(&self, key: &str) -> PathBuf {
        self.root.path().join(BUCKET).join(key)
    }

    /// Uploads in parts that were neither completed nor ended.
    pub fn uploads(&self) -> usize {
        self.uploads.lock().unwrap().len()
    }

    /// Files of parts on the server's disk.
    pub fn parts(&self) -> usize {
        let names = std::fs::read_dir(self.root.path()).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_string_lossy().contains(".part-")).count()
    }
}

struct Served {
    files: FileSystem,
    root: PathBuf,
    skills: Skills,
    uploads: Uploads,
}

impl Served {
    fn forget(&self, key: &str, id: &str) {
        self.uploads.lock().unwrap().remove(&(key.to_owned(), id.to_owned()));
    }
}

#[async_trait]
impl S3 for Served {
    async fn put_object(&self, req: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        if !self.root.join(&req.input.bucket).exists() {
            return Err(s3_error!(NoSuchBucket));
        }
        self.files.put_object(req).await
    }

    async fn get_object(&self, req: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        self.files.get_object(req).await
    }

    async fn head_object(&self, req: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        let key = req.input.key.clone();
        let mut head = self.files.head_object(req).await?;
        // Of what is there, whatever was said when it was put.
        let crc32 = crc32fast::hash(&std::fs::read(self.root.join(BUCKET).join(key)).unwrap());
        let checksum = data_encoding::BASE64.encode(&crc32.to_be_bytes());
        head.output.checksum_crc32 = self.skills.checksums.then_some(checksum);
        Ok(head)
    }

    async fn list_objects_v2(&self, req: S3Request<ListObjectsV2Input>) -> S3Result<S3Response<ListObjectsV2Output>> {
        self.files.list_objects_v2(req).await
    }

    async fn delete_object(&self, req: S3Request<DeleteObjectInput>) -> S3Result<S3Response<DeleteObjectOutput>> {
        self.files.delete_object(req).await
    }

    async fn create_multipart_upload(
        &self,
        req: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let key = req.input.key.clone();
        let begun = self.files.create_multipart_upload(req).await?;
        let id = begun.output.upload_id.clone().unwrap();
        self.uploads.lock().unwrap().insert((key, id), SystemTime::now());
        Ok(begun)
    }

    async fn upload_part(&self, req: S3Request<UploadPartInput>) -> S3Result<S3Response<UploadPartOutput>> {
        self.files.upload_part(req).await
    }

    async fn complete_multipart_upload(
        &self,
        req: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        self.forget(&req.input.key, &req.input.upload_id);
        self.files.complete_multipart_upload(req).await
    }

    async fn abort_multipart_upload(
        &self,
        req: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        self.forget(&req.input.key, &req.input.upload_id);
        self.files.abort_multipart_upload(req).await
    }

    async fn list_multipart_uploads(
        &self,
        req: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        if !self.skills.lists_uploads {
            return Err(s3_error!(NotImplemented));
        }
        let prefix = req.input.prefix.unwrap_or_default();
        let after = (req.input.key_marker.unwrap_or_default(), req.input.upload_id_marker.unwrap_or_default());
        let uploads = self.uploads.lock().unwrap();
        let mut found = uploads.iter().filter(|(at, _)| at.0.starts_with(&prefix) && **at > after);
        // One at a time, so that every listing of two has two pages.
        let Some(((key, id), began)) = found.next() else { return Ok(S3Response::new(Default::default())) };
        let upload = MultipartUpload {
            key: Some(key.clone()),
            upload_id: Some(id.clone()),
            initiated: Some(Timestamp::from(*began - Duration::from_secs(1))),
            ..Default::default()
        };
        Ok(S3Response::new(ListMultipartUploadsOutput {
            uploads: Some(vec![upload]),
            is_truncated: Some(found.next().is_some()),
            next_key_marker: Some(key.clone()),
            next_upload_id_marker: Some(id.clone()),
            ..Default::default()
        }))
    }
}
