//! How pages elsewhere embed ours without knowing us: oEmbed 1.0 (<https://oembed.com>). A page that is given the address of one of our
//! pages asks here and gets an iframe.

use super::Api;
use super::error::{ApiError, Query};
use super::recordings::Shown;
use super::shapes::Problem;
use super::tickets::Presented;
use crate::site;
use axum::Json;
use axum::extract::State;
use axum::http::{Extensions, HeaderMap, Uri};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use store::RecordingStatus;
use utoipa::{IntoParams, ToSchema};

/// Width when nobody says how much room there is.
const WIDTH: u32 = 640;
/// The widest player, for who has all the room there is.
const WIDTH_MAX: u32 = 1_920;
/// How long an answer may be kept, seconds: titles and sizes change now and then.
const CACHE_AGE_S: u32 = 3_600;

/// What is to be embedded.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Asked {
    /// The whole address of a page of a live stream or of a recording.
    pub url: String,
    /// `json`, the only one there is.
    pub format: Option<String>,
    /// The most pixels across.
    pub maxwidth: Option<u32>,
    /// The most pixels down.
    pub maxheight: Option<u32>,
}

/// An oEmbed answer of the type `video`.
#[derive(Debug, Serialize, ToSchema)]
pub struct OembedShape {
    /// `1.0`
    pub version: &'static str,
    /// `video`
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// `Weir`
    pub provider_name: &'static str,
    /// This site.
    pub provider_url: String,
    /// The stream's or recording's title, else the stream's name.
    pub title: String,
    /// The stream's name.
    pub author_name: String,
    /// An iframe.
    pub html: String,
    /// Its width in pixels.
    pub width: u32,
    /// Its height in pixels.
    pub height: u32,
    /// How long this may be kept, seconds.
    pub cache_age: u32,
    /// Address of a picture; of recordings that have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thumbnail_url: Option<String>,
    /// Its width in pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thumbnail_width: Option<u32>,
    /// Its height in pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thumbnail_height: Option<u32>,
}

/// A page of ours.
#[derive(Debug, PartialEq, Eq)]
enum Page<'a> {
    Stream(&'a str),
    Recording(&'a str),
}

/// The page at an address of this site (`host`, in lower case); the scheme does not matter, nor what stands behind `?` and `#`.
fn page<'a>(url: &'a str, host: &str) -> Option<Page<'a>> {
    let rest = ["https://", "http://"].iter().find_map(|scheme| {
        let (begin, rest) = url.split_at_checked(scheme.len())?;
        begin.eq_ignore_ascii_case(scheme).then_some(rest)
    })?;
    let (authority, path) = rest.split_at(rest.find('/')?);
    let path = path.split(['?', '#']).next()?;
    if !authority.eq_ignore_ascii_case(host) {
        return None;
    }
    let name = |prefix: &str| path.strip_prefix(prefix).filter(|name| !name.is_empty() && !name.contains('/'));
    let recording = name("/recordings/").or_else(|| name("/embed/recordings/")).map(Page::Recording);
    recording.or_else(|| name("/watch/").or_else(|| name("/embed/")).map(Page::Stream))
}

/// As large as it may be with this shape.
fn fit((width, height): (u32, u32), maxwidth: Option<u32>, maxheight: Option<u32>) -> (u32, u32) {
    let ratio = f64::from(height.max(1)) / f64::from(width.max(1));
    let across = f64::from(maxwidth.unwrap_or(WIDTH).clamp(1, WIDTH_MAX));
    let down = maxheight.map_or(f64::INFINITY, |most| f64::from(most.max(1)));
    let across = across.min(down / ratio);
    (across.floor().max(1.0) as u32, (across * ratio).floor().max(1.0) as u32)
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// How to embed a page of this site
///
/// oEmbed 1.0. The page's own `<link rel="alternate" type="application/json+oembed">` leads here. What is private, and what is not
/// there, get the same answer.
#[utoipa::path(get, path = "/oembed", tag = "live", params(Asked),
    responses((status = 200, body = OembedShape), (status = 400, body = Problem), (status = 404, body = Problem), (status = 501, body = Problem)))]
pub async fn show(
    State(api): State<Arc<Api>>,
    uri: Uri,
    headers: HeaderMap,
    from: Extensions,
    Query(asked): Query<Asked>,
) -> Result<Json<OembedShape>, ApiError> {
    if asked.format.as_deref().is_some_and(|format| format != "json") {
        return Err(ApiError::not_implemented("bad_format", "There is format=json alone.".into()));
    }
    let no_page = || {
        let message = "Give as url the whole address of a /watch/NAME or /recordings/ID page of this server.";
        ApiError::not_found("no_such_page", message.into())
    };
    let here = site::address(&uri, &headers, &from).ok_or_else(no_page)?;
    let host = here.split_once("://").map_or("", |(_, host)| host);
    let (path, title, author, shape, thumb) = match page(&asked.url, host).ok_or_else(no_page)? {
        Page::Stream(name) => {
            // Nothing of an address that holds a ticket is passed on, and without one it is nobody's.
            api.watched(name, &Presented::default()).map_err(|_| no_page())?;
            let title = api.title(name).await.ok_or_else(no_page)?;
            let live = api.live.stream(name).and_then(|live| live.width.zip(live.height));
            (format!("/embed/{name}"), title, name.to_owned(), live, None)
        }
        Page::Recording(id) => {
            let (found, _) = api.seen(id.to_owned(), Shown::default()).await?;
            if found.status == RecordingStatus::Failed {
                return Err(no_page());
            }
            let cover = api.archive.cover(&found).await;
            let thumb = cover.map(|size| (format!("{here}/vod/{id}/thumb.jpg"), size));
            (format!("/embed/recordings/{id}"), found.details.title, found.stream, cover, thumb)
        }
    };
    let title = if title.is_empty() { author.clone() } else { title };
    let (width, height) = fit(shape.unwrap_or((16, 9)), asked.maxwidth, asked.maxheight);
    let html = format!(
        "<iframe src=\"{here}{path}\" title=\"{}\" width=\"{width}\" height=\"{height}\" style=\"border:0\" \
         allow=\"autoplay; fullscreen; picture-in-picture\" allowfullscreen></iframe>",
        escaped(&title)
    );
    Ok(Json(OembedShape {
        version: "1.0",
        kind: "video",
        provider_name: "Weir",
        provider_url: here,
        title,
        author_name: author,
        html,
        width,
        height,
        cache_age: CACHE_AGE_S,
        thumbnail_width: thumb.as_ref().map(|(_, size)| size.0),
        thumbnail_height: thumb.as_ref().map(|(_, size)| size.1),
        thumbnail_url: thumb.map(|(url, _)| url),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_pages_of_this_site_are_found() {
        let found = |url| page(url, "live.example:8443");
        for url in [
            "https://live.example:8443/watch/show",
            "HTTP://Live.Example:8443/embed/show?x=/y#z",
            "http://live.example:8443/watch/show#/recordings/1",
        ] {
            assert_eq!(found(url), Some(Page::Stream("show")), "{url}");
        }
        assert_eq!(found("https://live.example:8443/embed/recordings/1?ticket=t"), Some(Page::Recording("1")));
        for url in [
            "",
            "/watch/show",
            "https://live.example/watch/show",
            "https://evil.example/watch/show",
            "https://live.example:8443@evil.example/watch/show",
            "https://live.example:8443",
            "https://live.example:8443/",
            "https://live.example:8443/watch/",
            "https://live.example:8443/watch/a/b",
            "https://live.example:8443/dashboard/streams/show",
            "ftp://live.example:8443/watch/show",
            "https:/\u{e9}",
        ] {
            assert_eq!(found(url), None, "{url}");
        }
    }

    #[test]
    fn the_player_is_as_large_as_it_may_be() {
        assert_eq!(fit((16, 9), None, None), (640, 360));
        assert_eq!(fit((16, 9), Some(800), Some(300)), (533, 300));
        assert_eq!(fit((1_080, 1_920), Some(800), Some(600)), (337, 600));
        assert_eq!(fit((16, 9), Some(u32::MAX), None), (1_920, 1_080));
        assert_eq!(fit((0, 0), Some(0), Some(0)), (1, 1));
    }

    proptest! {
        #[test]
        fn no_limit_is_passed(shape in any::<(u32, u32)>(), across in 1..5_000_u32, down in 1..5_000_u32) {
            let (width, height) = fit(shape, Some(across), Some(down));
            prop_assert!((1..=across).contains(&width) && (1..=down).contains(&height), "{}x{}", width, height);
        }

        #[test]
        fn any_address_is_read(url in "\\PC{0,80}|https?://h(/[a-z/?#]{0,30})?") {
            if let Some(Page::Stream(name) | Page::Recording(name)) = page(&url, "h") {
                prop_assert!(!name.is_empty() && !name.contains('/'));
            }
        }

        #[test]
        fn no_title_leaves_its_attribute(title in "\\PC{0,40}|[<>\"'&a]{0,20}") {
            prop_assert!(!escaped(&title).contains(['<', '>', '"', '\'']));
        }
    }
}
