//! Any text as the query of a playlist request, as a path under `/live/`, and as a Range header. The modules are taken from
//! the origin's folder as they are: all are private there, and need nothing else of it.
#![no_main]
#![allow(dead_code)]

use libfuzzer_sys::fuzz_target;

#[path = "../../origin/src/directives.rs"]
mod directives;
#[path = "../../origin/src/path.rs"]
mod path;
#[path = "../../origin/src/range.rs"]
mod range;

fuzz_target!(|text: &str| {
    if let Ok(asked) = directives::Directives::parse(Some(text)) {
        assert!(asked.until.is_none() || text.contains("_HLS_msn="));
    }
    let _asset = path::Asset::parse(text);
    for length in [0, 1, 1000] {
        if let range::Slice::Bytes { first, last } = range::Slice::parse(text.as_bytes(), length) {
            assert!(first <= last && last < length, "{first}..={last} of {length}");
        }
    }
});
