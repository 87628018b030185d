//! What the SDK's errors mean: whose fault, and what to do.

use crate::Error;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};
use std::time::Duration;

/// Longer ones are cut: servers and proxies write what they like.
const TEXT_MAX: usize = 200;

/// What was asked, and of whom.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    /// As a verb phrase.
    pub doing: &'static str,
    /// With the prefix.
    pub key: &'a str,
    pub bucket: &'a str,
    pub endpoint: &'a str,
}

/// What came back instead of success.
#[derive(Debug, Default)]
struct Answer<'a> {
    status: u16,
    code: &'a str,
    message: &'a str,
    retry_after: Option<&'a str>,
    date: Option<&'a str>,
    body: &'a str,
}

impl Asked<'_> {
    /// Names the cause.
    pub fn error<E>(self, error: SdkError<E>) -> Error
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        match &error {
            SdkError::ServiceError(answer) => self.answered(&Answer::of(answer.raw(), answer.err())),
            SdkError::ResponseError(answer) => {
                let status = answer.raw().status().as_u16();
                Error::Failed { doing: self.doing, status, code: innermost(&chain(&error)), retry_after: None }
            }
            _ => self.unanswered(&chain(&error), error),
        }
    }

    fn answered(self, answer: &Answer<'_>) -> Error {
        let (doing, key, status) = (self.doing, self.key.to_owned(), answer.status);
        let code = if answer.code.is_empty() { format!("status {status}") } else { cut(answer.code) };
        let retry_after = answer.retry_after.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
        match answer.code {
            "NoSuchBucket" => Error::NoSuchBucket { bucket: self.bucket.into(), endpoint: self.endpoint.into() },
            "NoSuchKey" | "NoSuchUpload" | "NotFound" => Error::NotFound { key },
            "RequestTimeTooSkewed" => {
                let ahead_s = ahead_s(answer.body);
                Error::ClockSkew { off: off(ahead_s, answer.date), ahead_s }
            }
            "BadDigest" | "XAmzContentChecksumMismatch" | "XAmzContentSHA256Mismatch" | "IncompleteBody" => {
                Error::Mismatch { key, what: format!("it says {code}") }
            }
            "SlowDown"
            | "SlowDownRead"
            | "SlowDownWrite"
            | "Throttling"
            | "ThrottlingException"
            | "TooManyRequests"
            | "RequestLimitExceeded"
            | "BandwidthLimitExceeded" => Error::SlowDown { code, retry_after },
            // What S3 calls a request whose body came too slowly, with status 400.
            "RequestTimeout" | "InternalError" => Error::Failed { doing, status, code, retry_after },
            "InvalidAccessKeyId" => Error::Denied {
                doing,
                code,
                cure: "it does not know the access key id; look for a typing error, and whether the key belongs to this endpoint",
            },
            "SignatureDoesNotMatch" => Error::Denied {
                doing,
                code,
                cure: "the secret access key is wrong, or a proxy changes requests; give the secret again",
            },
            "ExpiredToken" | "InvalidToken" | "TokenRefreshRequired" => {
                Error::Denied { doing, code, cure: "the session token is no longer valid; renew the credentials" }
            }
            _ => match status {
                404 => Error::NotFound { key },
                401 | 403 => Error::Denied {
                    doing,
                    code,
                    cure: "the key may not; allow it s3:PutObject, GetObject, DeleteObject, ListBucket and AbortMultipartUpload",
                },
                416 => Error::OutOfRange { key, first: 0, last: 0 },
                429 | 503 => Error::SlowDown { code, retry_after },
                // 501 is for ever.
                500 | 502 | 504.. => Error::Failed { doing, status, code, retry_after },
                _ => Error::Refused { doing, status, code: answer.code.into(), message: cut(answer.message) },
            },
        }
    }

    /// No answer came, or no question went.
    fn unanswered(self, chain: &[String], error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        let (endpoint, reason) = (self.endpoint.to_owned(), innermost(chain));
        let speaks_of = |word: &str| chain.iter().any(|link| link.to_ascii_lowercase().contains(word));
        if speaks_of("certificate") {
            return Error::Tls { endpoint, reason };
        }
        if speaks_of("credential") || speaks_of("identity") {
            return Error::NoCredentials { source: error.into() };
        }
        Error::Unreachable { endpoint, reason }
    }
}

impl<'a> Answer<'a> {
    fn of(raw: &'a HttpResponse, error: &'a impl ProvideErrorMetadata) -> Self {
        Self {
            status: raw.status().as_u16(),
            code: error.code().unwrap_or_default(),
            message: error.message().unwrap_or_default(),
            retry_after: raw.headers().get("retry-after"),
            date: raw.headers().get("date"),
            body: raw.body().bytes().and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default(),
        }
    }
}

/// Seconds this machine's clock is ahead: of when we said it was, and when it was, as Amazon's answer tells both.
fn ahead_s(body: &str) -> Option<i64> {
    let ours = DateTime::from_str(&spread(element(body, "RequestTime")?), DateTimeFormat::DateTime).ok()?;
    let theirs = DateTime::from_str(element(body, "ServerTime")?, DateTimeFormat::DateTime).ok()?;
    Some(ours.secs().saturating_sub(theirs.secs()))
}

/// `20261122T085200Z` as `2026-11-22T08:52:00Z`; other texts as they are.
fn spread(text: &str) -> String {
    let is_basic = text.len() == 16 && text.is_ascii() && text.as_bytes()[8] == b'T' && text.ends_with('Z');
    if !is_basic {
        return text.to_owned();
    }
    let (year, month, day) = (&text[..4], &text[4..6], &text[6..8]);
    format!("{year}-{month}-{day}T{}:{}:{}Z", &text[9..11], &text[11..13], &text[13..15])
}

fn element<'a>(body: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = body.split_once(&format!("<{name}>"))?;
    rest.split_once("</").map(|(value, _)| value.trim())
}

fn off(ahead_s: Option<i64>, date: Option<&str>) -> String {
    match (ahead_s, date) {
        (Some(seconds @ 0..), _) => format!("{seconds} s ahead of the store's"),
        (Some(seconds), _) => format!("{} s behind the store's", seconds.unsigned_abs()),
        (None, Some(date)) => format!("far from the store's ({})", cut(date)),
        (None, None) => "far from the store's".into(),
    }
}

/// An error and what it came from, the outermost first. The SDK's types say no more about a connection that failed.
fn chain(error: &dyn std::error::Error) -> Vec<String> {
    std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect()
}

fn innermost(chain: &[String]) -> String {
    chain.last().map_or_else(String::new, |link| cut(link))
}

fn cut(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(TEXT_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Fault;
    use proptest::prelude::*;

    const ASKED: Asked<'_> =
        Asked { doing: "write an object", key: "p/rec/1", bucket: "show", endpoint: "https://s3.example" };
    const SKEWED: &str = "<Error><Code>RequestTimeTooSkewed</Code><RequestTime>20261122T085200Z</RequestTime>\
        <ServerTime>2026-11-22T09:12:01Z</ServerTime></Error>";

    fn check(status: u16, code: &str, fault: Fault, says: &str) {
        let answer = Answer { status, code, message: "no", retry_after: Some("7"), date: None, body: SKEWED };
        let error = ASKED.answered(&answer);
        assert_eq!(error.fault(), fault, "{status} {code}: {error:?}");
        assert!(error.to_string().contains(says), "{status} {code}: {error}");
    }

    #[test]
    fn every_answer_has_a_fault_a_cause_and_a_cure() {
        check(404, "NoSuchBucket", Fault::Operator, "there is no bucket \"show\" at https://s3.example");
        check(404, "NoSuchKey", Fault::Caller, "p/rec/1");
        check(404, "", Fault::Caller, "there is no object");
        check(403, "InvalidAccessKeyId", Fault::Operator, "does not know the access key id");
        check(403, "SignatureDoesNotMatch", Fault::Operator, "the secret access key is wrong");
        check(403, "AccessDenied", Fault::Operator, "allow it s3:PutObject");
        check(403, "", Fault::Operator, "status 403; the key may not");
        check(400, "ExpiredToken", Fault::Operator, "renew the credentials");
        check(403, "RequestTimeTooSkewed", Fault::Operator, "which is 1201 s behind the store's; set the clock");
        check(503, "SlowDown", Fault::Store, "slow down");
        check(429, "", Fault::Store, "slow down");
        check(400, "RequestTimeout", Fault::Store, "RequestTimeout");
        check(500, "InternalError", Fault::Store, "status 500 InternalError");
        check(504, "", Fault::Store, "status 504");
        check(501, "NotImplemented", Fault::Operator, "the store does not write an object");
        check(400, "InvalidStorageClass", Fault::Operator, "look at the storage class");
        check(400, "BadDigest", Fault::Store, "it says BadDigest");
    }

    #[test]
    fn the_store_says_when_to_come_again() {
        let said =
            |retry_after| ASKED.answered(&Answer { status: 503, retry_after, ..Answer::default() }).retry_after();
        assert_eq!(said(Some(" 120 ")), Some(Duration::from_secs(120)));
        assert_eq!(said(Some("Wed, 21 Oct 2026 07:28:00 GMT")), None);
        assert_eq!(said(None), None);
    }

    #[test]
    fn a_clock_off_is_told_by_how_much() {
        assert_eq!(ahead_s(SKEWED), Some(-1201));
        assert_eq!(off(Some(60), None), "60 s ahead of the store's");
        assert_eq!(
            off(None, Some("Sun, 22 Nov 2026 09:12:01 GMT")),
            "far from the store's (Sun, 22 Nov 2026 09:12:01 GMT)"
        );
    }

    #[test]
    fn what_kept_a_question_from_being_answered_is_told_apart() {
        let kind = |links: &[&str]| {
            let chain: Vec<String> = links.iter().map(|link| (*link).to_owned()).collect();
            ASKED.unanswered(&chain, "x").to_string()
        };
        let refused = kind(&["dispatch failure", "io error", "tcp connect error", "Connection refused (os error 111)"]);
        assert_eq!(refused, "the store at https://s3.example cannot be reached: Connection refused (os error 111)");
        let name = "invalid peer certificate: certificate not valid for name \"s3.example\"";
        assert!(
            kind(&["dispatch failure", name]).starts_with("the TLS certificate of https://s3.example is not accepted")
        );
        assert!(
            kind(&["dispatch failure", "no providers in chain provided credentials"]).starts_with("no credentials")
        );
    }

    proptest! {
        #[test]
        fn any_answer_is_understood(status in 100u16..999, code in "\\PC{0,40}", body in "\\PC{0,99}", times in "[0-9TZ<>/]{0,40}") {
            let body = format!("{body}<RequestTime>{times}</RequestTime><ServerTime>{times}</ServerTime>");
            let answer = Answer { status, code: &code, message: &body, retry_after: Some(&times), date: Some(&code), body: &body };
            prop_assert!(!ASKED.answered(&answer).to_string().is_empty());
            let _ = ahead_s(&body);
        }
    }
}
