use crate::Error;
use std::time::Duration;

/// Counts one request or one act on a folder: `weir_vault_requests_total{operation, outcome}` and
/// `weir_vault_request_seconds{operation}`.
pub(crate) fn request<T>(operation: &'static str, result: &Result<T, Error>, took: Duration) {
    let outcome = result.as_ref().err().map_or("ok", Error::outcome);
    metrics::counter!("weir_vault_requests_total", "operation" => operation, "outcome" => outcome).increment(1);
    metrics::histogram!("weir_vault_request_seconds", "operation" => operation).record(took.as_secs_f64());
}

/// Counts bytes that went into the vault, received or not.
pub(crate) fn sent(bytes: u64) {
    metrics::counter!("weir_vault_bytes_total", "direction" => "in").increment(bytes);
}

/// Counts bytes that came out of it.
pub(crate) fn received(bytes: u64) {
    metrics::counter!("weir_vault_bytes_total", "direction" => "out").increment(bytes);
}

/// Counts a request that is made again at once.
pub(crate) fn retry(operation: &'static str) {
    metrics::counter!("weir_vault_retries_total", "operation" => operation).increment(1);
}
