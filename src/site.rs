//! Where a request was sent to, as its sender sees it: our own site's name, and whether it is reached over TLS. For answers that must
//! hold whole addresses. Behind a proxy both are only right when it hands `Host` on and is trusted ([`origin::Peer`]).

use axum::http::header::HOST;
use axum::http::{Extensions, HeaderMap, Uri};

/// Longest name with a port that is believed.
const HOST_BYTES_MAX: usize = 261;

/// The host and port the request was sent to, in lower case.
pub fn host(uri: &Uri, headers: &HeaderMap) -> Option<String> {
    let named = headers.get(HOST).and_then(|host| host.to_str().ok());
    uri.authority().map(|authority| authority.as_str()).or(named).map(str::to_ascii_lowercase)
}

/// Whether the sender's connection is TLS, to us or to a proxy we trust.
pub fn is_encrypted(headers: &HeaderMap, from: &Extensions) -> bool {
    let peer = from.get::<origin::Peer>();
    if peer.is_some_and(|peer| peer.tls) {
        return true;
    }
    // What stands in the header is believed of whoever is believed about the viewer's address.
    let is_proxied = peer.is_some_and(|peer| peer.client != peer.socket.ip().to_canonical());
    is_proxied
        && headers.get("x-forwarded-proto").is_some_and(|scheme| scheme.as_bytes().eq_ignore_ascii_case(b"https"))
}

/// Our site, such as `https://live.example:8443`: nothing in it has to be escaped in HTML. `None` when the request names no host that
/// can be one.
pub fn address(uri: &Uri, headers: &HeaderMap, from: &Extensions) -> Option<String> {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'[' | b']' | b'_');
    let is_host = |host: &String| (1..=HOST_BYTES_MAX).contains(&host.len()) && host.bytes().all(is_plain);
    let host = host(uri, headers).filter(is_host)?;
    let scheme = if is_encrypted(headers, from) { "https" } else { "http" };
    Some(format!("{scheme}://{host}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn only_a_proxy_we_trust_is_believed_about_tls() {
        let address_from = |socket: &str, client: &str, tls: bool, said: &'static str| {
            let socket = std::net::SocketAddr::new(socket.parse().unwrap(), 1);
            let mut extensions = Extensions::new();
            extensions.insert(origin::Peer { socket, client: client.parse().unwrap(), tls });
            let mut headers = HeaderMap::new();
            headers.insert("host", HeaderValue::from_static("Live.example:8443"));
            headers.insert("x-forwarded-proto", HeaderValue::from_static(said));
            address(&Uri::from_static("/"), &headers, &extensions).unwrap()
        };
        let (secure, clear) = ("https://live.example:8443", "http://live.example:8443");
        assert_eq!(address_from("10.0.0.1", "10.0.0.1", true, "http"), secure, "TLS to us");
        assert_eq!(address_from("10.0.0.1", "192.0.2.7", false, "https"), secure, "TLS to a trusted proxy");
        assert_eq!(address_from("10.0.0.1", "192.0.2.7", false, "http"), clear, "none to it");
        assert_eq!(address_from("192.0.2.7", "192.0.2.7", false, "https"), clear, "anyone can say so");
    }

    #[test]
    fn a_host_that_is_none_is_not_repeated() {
        for host in ["", "a b", "a\"><script>", "a/b", "a,b", &"a".repeat(262)] {
            let mut headers = HeaderMap::new();
            headers.insert("host", HeaderValue::from_str(host).unwrap());
            assert_eq!(address(&Uri::from_static("/"), &headers, &Extensions::new()), None, "{host}");
        }
    }
}
