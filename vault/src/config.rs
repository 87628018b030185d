use crate::Error;
use std::fmt;
use std::path::PathBuf;

/// Where a vault is.
#[derive(Debug, Clone)]
pub enum Config {
    /// A folder on a local disk, made when it is not there. Everything in it is the vault's.
    Directory {
        /// The folder.
        path: PathBuf,
    },
    /// A bucket of Amazon S3 or whatever speaks its protocol.
    S3(Box<S3Config>),
}

/// A bucket, and how to get at it.
#[derive(Debug, Clone)]
pub struct S3Config {
    /// The bucket's name. It must be there.
    pub bucket: String,
    /// What every key begins with, without slashes at either end (`weir/node-1`); may be empty. Everything below it is the
    /// vault's: uploads that somebody left there unfinished for a day are ended.
    pub prefix: String,
    /// The region, `us-east-1` where there are none.
    pub region: String,
    /// `https://…` or `http://…`; `None` is Amazon's of that region.
    pub endpoint: Option<String>,
    /// The bucket in the path instead of in the host name, as most servers at home want it.
    pub path_style: bool,
    /// A storage class (`STANDARD_IA`); `None` is the bucket's default.
    pub storage_class: Option<String>,
    /// How the store encrypts what it keeps.
    pub encryption: Encryption,
    /// Keys of its own; `None` lets the SDK look (environment, profile, web identity, container, instance role).
    pub credentials: Option<Credentials>,
    /// The speed of all uploads together, in bits per second, at least [`S3Config::UPLOAD_BPS_MIN`]; `None` is no cap.
    pub upload_bps_max: Option<u64>,
    /// A local folder for notes on uploads in progress, a few hundred bytes each; made when it is not there. One vault alone
    /// may use it.
    pub notes: PathBuf,
}

/// Server-side encryption of new objects.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Encryption {
    /// What the bucket says.
    #[default]
    BucketDefault,
    /// With keys of the store (`AES256`).
    Aes256,
    /// With a key of the key service, by its id or ARN (`aws:kms`).
    Kms(String),
}

/// Keys to a store. `Debug` shows the id alone.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The public half.
    pub access_key_id: String,
    /// The secret half.
    pub secret_access_key: Secret,
}

/// A text that is never shown: no `Display`, redacted `Debug`.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Takes the text in clear.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

impl S3Config {
    /// The lowest cap on uploads: below it, a dozen transfers that share it look like ones that stand still.
    pub const UPLOAD_BPS_MIN: u64 = 1_000_000;

    /// A bucket with everything else as most have it.
    pub fn new(bucket: impl Into<String>, notes: impl Into<PathBuf>) -> Self {
        Self {
            bucket: bucket.into(),
            prefix: String::new(),
            region: "us-east-1".into(),
            endpoint: None,
            path_style: false,
            storage_class: None,
            encryption: Encryption::BucketDefault,
            credentials: None,
            upload_bps_max: None,
            notes: notes.into(),
        }
    }

    /// Checks every value that can be judged without asking the store.
    ///
    /// # Errors
    /// [`Error::BadSetting`] names the first that is wrong.
    pub fn check(&self) -> Result<(), Error> {
        let bad = |setting, why| Err(Error::BadSetting { setting, why });
        if self.bucket.is_empty() || self.bucket.contains(|c: char| c.is_whitespace() || c.is_control() || c == '/') {
            return bad("bucket", "it is empty or holds a space or slash; give the bucket's name alone");
        }
        if !self.prefix.is_empty() && crate::Key::new(self.prefix.as_str()).is_err() {
            return bad(
                "prefix",
                "it is no key; use parts between slashes without one at either end, as in weir/node-1",
            );
        }
        if self.region.is_empty() {
            return bad("region", "it is empty; a store without regions takes us-east-1");
        }
        let is_url = |url: &String| url.starts_with("https://") || url.starts_with("http://");
        if self.endpoint.as_ref().is_some_and(|url| !is_url(url)) {
            return bad("endpoint", "it is no address; begin with https:// or http://");
        }
        if self.upload_bps_max.is_some_and(|bps| bps < Self::UPLOAD_BPS_MIN) {
            return bad("upload_bps_max", "it is below 1,000,000 bits per second; raise it or leave it out");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_no_store_can_have_are_refused() {
        let good = S3Config::new("b", "notes");
        assert!(good.check().is_ok());
        let full = S3Config { prefix: "a/b".into(), endpoint: Some("http://[::1]:9000".into()), ..good.clone() };
        assert!(full.check().is_ok());
        for (setting, bad) in [
            ("bucket", S3Config { bucket: "a/b".into(), ..good.clone() }),
            ("prefix", S3Config { prefix: "a/".into(), ..good.clone() }),
            ("region", S3Config { region: String::new(), ..good.clone() }),
            ("endpoint", S3Config { endpoint: Some("minio:9000".into()), ..good.clone() }),
            ("upload_bps_max", S3Config { upload_bps_max: Some(64_000), ..good.clone() }),
        ] {
            let said = bad.check().expect_err(setting).to_string();
            assert!(said.starts_with(setting), "{said}");
        }
    }

    #[test]
    fn a_secret_is_never_shown() {
        let keys = Credentials { access_key_id: "AKIA1".into(), secret_access_key: Secret::new("hunter2") };
        let config = S3Config { credentials: Some(keys), ..S3Config::new("b", "notes") };
        let shown = format!("{config:?}");
        assert!(shown.contains("AKIA1") && !shown.contains("hunter2"), "{shown}");
    }
}
