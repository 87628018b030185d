//! What each metric says, given to `/metrics` as HELP. The one text of it is the operators' own page, `docs/metrics.md`.

const PAGE: &str = include_str!("../docs/metrics.md");

/// Tells the recorder what each metric says. Call it once, when the recorder is installed.
pub fn describe_metrics() {
    for (name, says) in rows() {
        // The recorder keeps one text for each name, whatever its kind.
        if name.ends_with("_total") {
            metrics::describe_counter!(name, says);
        } else {
            metrics::describe_gauge!(name, says);
        }
    }
}

/// Names and sentences of the page's tables.
fn rows() -> impl Iterator<Item = (&'static str, String)> {
    PAGE.lines().filter_map(|line| {
        let (name, says) = line.strip_prefix("| `")?.split_once("` | ")?;
        Some((name, says.trim_end_matches(" |").replace('`', "")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    /// Every name of ours that stands in a source as a text.
    fn used(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                used(&path, found);
            } else if path.extension().is_some_and(|end| end == "rs") && !path.ends_with("explained.rs") {
                let text = fs::read_to_string(&path).unwrap();
                let names = text.split('"').filter(|text| text.starts_with("weir_"));
                let is_name = |text: &&str| text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
                found.extend(names.filter(is_name).map(str::to_owned));
            }
        }
    }

    #[test]
    fn every_metric_is_explained_once_and_no_other() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut names = BTreeSet::new();
        for house in [
            "src",
            "ingest/src",
            "playout/src",
            "restream/src",
            "rtspout/src",
            "origin/src",
            "transcoder/src",
            "packager/src",
            "store/src",
            "archive/src",
            "vault/src",
            "pipelines/src",
        ] {
            used(&root.join(house), &mut names);
        }
        let rows: Vec<String> = rows().map(|(name, _)| name.to_owned()).collect();
        let explained: BTreeSet<String> = rows.iter().cloned().collect();
        assert_eq!(rows.len(), explained.len(), "a metric is explained twice");
        assert_eq!(explained, names);
        assert!(names.len() > 50);
    }
}
