//! Which content coding a playlist is sent in (RFC 9110 section 12.5.3).

/// A content coding the packager keeps ready for playlists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    /// Plain text.
    Identity,
    /// gzip.
    Gzip,
    /// Brotli.
    Brotli,
}

impl Coding {
    /// The coding with the highest weight in `accept`; on a tie the one that packs better. A client that forbids
    /// everything we have still gets plain text, as the RFC advises.
    pub(crate) fn negotiate(accept: &[u8]) -> Coding {
        let Ok(accept) = std::str::from_utf8(accept) else { return Coding::Identity };
        let (mut gzip, mut brotli, mut rest, mut identity) = (None, None, None, None);
        for item in accept.split(',') {
            let (name, parameters) = item.split_once(';').unwrap_or((item, ""));
            let weight = weight(parameters);
            let name = name.trim();
            if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") {
                gzip = Some(weight);
            } else if name.eq_ignore_ascii_case("br") {
                brotli = Some(weight);
            } else if name.eq_ignore_ascii_case("identity") {
                identity = Some(weight);
            } else if name == "*" {
                rest = Some(weight);
            }
        }
        let gzip = gzip.or(rest).unwrap_or(0);
        let brotli = brotli.or(rest).unwrap_or(0);
        // Plain text that is not named is acceptable, but only when nothing named is.
        let identity = identity.unwrap_or(0);
        if brotli > 0 && brotli >= gzip && brotli >= identity {
            Coding::Brotli
        } else if gzip > 0 && gzip >= identity {
            Coding::Gzip
        } else {
            Coding::Identity
        }
    }
}

/// The `q` parameter in thousandths, 1000 when absent, 0 when malformed.
fn weight(parameters: &str) -> u16 {
    let q = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("q").then(|| value.trim())
    });
    let Some(q) = q else { return 1000 };
    let (whole, fraction) = q.split_once('.').unwrap_or((q, ""));
    let clean = fraction.len() <= 3 && fraction.bytes().all(|byte| byte.is_ascii_digit());
    match whole {
        "1" if clean => 1000,
        "0" if clean => (0..3).fold(0, |sum, place| {
            let digit = fraction.as_bytes().get(place).map_or(0, |byte| u16::from(byte - b'0'));
            sum * 10 + digit
        }),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_highest_weight_wins() {
        let check = |accept: &str, want| assert_eq!(Coding::negotiate(accept.as_bytes()), want, "{accept}");
        check("", Coding::Identity);
        check("gzip", Coding::Gzip);
        check("gzip, deflate, br, zstd", Coding::Brotli);
        check("gzip;q=1.0, br;q=0.9", Coding::Gzip);
        check("br;q=0, gzip", Coding::Gzip);
        check("gzip;q=0", Coding::Identity);
        check("*", Coding::Brotli);
        check("*;q=0.5, br;q=0", Coding::Gzip);
        check("identity, gzip;q=0.5", Coding::Identity);
        check("identity;q=0.1, GZIP ; Q=0.2", Coding::Gzip);
        check("deflate", Coding::Identity);
        check("gzip;q=2", Coding::Identity);
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic(accept in proptest::collection::vec(any::<u8>(), 0..60)) {
            Coding::negotiate(&accept);
        }

        #[test]
        fn no_weight_makes_it_panic(q in "[0-9.;q=]{0,8}") {
            weight(&format!("q={q}"));
        }
    }
}
