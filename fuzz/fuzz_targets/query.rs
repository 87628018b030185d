//! Any text as the query of a playlist request and as a path under `/live/`. The modules are taken from the origin's folder
//! as they are: both are private there, and need nothing else of it.
#![no_main]
#![allow(dead_code)]

use libfuzzer_sys::fuzz_target;

#[path = "../../origin/src/directives.rs"]
mod directives;
#[path = "../../origin/src/path.rs"]
mod path;

fuzz_target!(|text: &str| {
    if let Ok(asked) = directives::Directives::parse(Some(text)) {
        assert!(asked.until.is_none() || text.contains("_HLS_msn="));
    }
    let _asset = path::Asset::parse(text);
});
