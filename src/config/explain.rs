//! What is wrong with a configuration, in one sentence: where it was read, which key, and what would be right.

use super::Config;
use anyhow::{Context as _, bail};
use figment::Figment;
use figment::value::{Dict, Value};
use std::path::Path;

/// Compares the keys given with the keys of the defaults, which are all keys there are.
pub fn refuse_unknown(figment: &Figment) -> anyhow::Result<()> {
    let known = Value::serialize(Config::default()).context("the defaults are not a table")?;
    let given: Value = figment.find_value("").map_err(explain)?;
    let (Some(known), Some(given)) = (known.as_dict(), given.as_dict()) else { return Ok(()) };
    let mut all = Vec::new();
    paths(known, "", &mut all);
    if let Some((path, value)) = first_unknown(known, given, "") {
        let source = figment.get_metadata(value.tag()).map_or_else(String::new, |m| source_of(m, &path));
        let nearest =
            all.iter().max_by(|a, b| strsim::jaro_winkler(a, &path).total_cmp(&strsim::jaro_winkler(b, &path)));
        bail!("{source}there is no key {path:?}; the nearest is {:?}", nearest.map_or("", |n| n.as_str()));
    }
    Ok(())
}

pub fn paths(dict: &Dict, prefix: &str, into: &mut Vec<String>) {
    for (key, value) in dict {
        match value.as_dict() {
            Some(inner) => paths(inner, &format!("{prefix}{key}."), into),
            None => into.push(format!("{prefix}{key}")),
        }
    }
}

fn first_unknown<'v>(known: &Dict, given: &'v Dict, prefix: &str) -> Option<(String, &'v Value)> {
    given.iter().find_map(|(key, value)| match (known.get(key), value.as_dict()) {
        (None, _) => Some((format!("{prefix}{key}"), value)),
        (Some(Value::Dict(_, known)), Some(given)) => first_unknown(known, given, &format!("{prefix}{key}.")),
        _ => None,
    })
}

/// `weir.toml: ` or `WEIR_HTTP: `, for the front of a sentence.
fn source_of(metadata: &figment::Metadata, path: &str) -> String {
    match metadata.source.as_ref().and_then(|s| s.file_path()) {
        Some(file) => format!("{}: ", shorten(file)),
        None if metadata.name == "environment" => format!("WEIR_{}: ", path.to_uppercase().replace('.', "__")),
        None => String::new(),
    }
}

fn shorten(file: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    file.strip_prefix(&here).unwrap_or(file).display().to_string()
}

/// One sentence from figment's error: where, which key, what is wrong.
pub fn explain(error: figment::Error) -> anyhow::Error {
    let path = error.path.join(".");
    let source = error.metadata.as_ref().map_or_else(String::new, |m| source_of(m, &path));
    if path.is_empty() {
        anyhow::anyhow!("{source}{}", error.kind)
    } else {
        anyhow::anyhow!("{source}{path}: {}", error.kind)
    }
}
