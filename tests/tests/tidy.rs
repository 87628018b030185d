//! The rules of the house that a compiler does not check: who may import whom, who may name which heavy dependency,
//! how long a file may be, what a file may say. Reads manifests and sources, starts nothing but `cargo metadata`.

use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use tests::workspace_dir;

/// Imports go from a higher floor to a lower one, never sideways. A new crate gets its line here when it is made.
const FLOORS: [(&str, u8); 17] = [
    ("gatehouse", 0),
    ("media", 0),
    ("rtmp", 1),
    ("pipelines", 1),
    ("packager", 1),
    ("demuxer", 1),
    ("store", 1),
    ("vault", 1),
    ("ingest", 2),
    ("playout", 2),
    ("restream", 2),
    ("rtspout", 2),
    ("transcoder", 2),
    ("origin", 2),
    ("archive", 2),
    ("weir", 3),
    ("simulator", 3),
];

/// Beside the house: knows the server only from outside, so it imports none of it and nobody imports it.
const BESIDE: &str = "tests";

/// A dependency that is costly to build, to audit or to replace is named by one crate only.
const HEAVY: [(&str, &str); 14] = [
    ("gstreamer", "pipelines"),
    ("gstreamer-app", "pipelines"),
    ("gstreamer-rtsp-server", "pipelines"),
    ("landlock", "pipelines"),
    ("seccompiler", "pipelines"),
    ("mp4-atom", "packager"),
    ("m3u8-rs", "packager"),
    ("rml_rtmp", "rtmp"),
    ("sqlx", "store"),
    ("clap", "weir"),
    ("async-nats", "weir"),
    ("aws-config", "vault"),
    ("aws-sdk-s3", "vault"),
    ("str0m", "rtc"),
];

/// One TLS and crypto provider, aws-lc-rs; these would be a second one.
const FOREIGN_CRYPTO: [&str; 5] = ["ring", "openssl", "openssl-sys", "native-tls", "boring"];

/// Lines a source file may have before it must be split.
const LINES_MAX: usize = 600;

/// What cargo prints of a run.
const LOG: &str = "
     Running unittests src/lib.rs (target/debug/deps/media-5cac71c1527a3388)
test wire::tests::bytes ... ok
     Running unittests src/lib.rs (/elsewhere/target/debug/deps/rtmp-eafb4f0249c4df5a)
test amf::tests::bytes ... ok
test plain ... ok
     Running tests/both.rs (target/debug/deps/both-dfc38f96225c4030)
test sqlite::twice ... ok
test postgres::twice ... ok
test sqlite::halves ... ok
test postgres::halves ... FAILED
";

fn cargo() -> PathBuf {
    std::env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from)
}

/// `(crate, names of everything its manifest names, build and test dependencies included)` for each crate of the house.
fn manifests() -> Vec<(String, BTreeSet<String>)> {
    let manifest = workspace_dir().join("Cargo.toml").display().to_string();
    let words =
        ["metadata", "--format-version", "1", "--no-deps", "--locked", "--offline", "--manifest-path", &manifest];
    let all: Value = serde_json::from_str(&tests::run_ok(cargo(), words)).expect("cargo writes JSON");
    let text = |value: &Value| value.as_str().expect("a name").to_owned();
    let crates = all["packages"].as_array().expect("packages");
    let dependencies = |package: &Value| {
        package["dependencies"].as_array().expect("dependencies").iter().map(|d| text(&d["name"])).collect()
    };
    crates.iter().map(|package| (text(&package["name"]), dependencies(package))).collect()
}

/// Every file of the project that ends so, without what tools have made.
fn files(ending: &str) -> Vec<PathBuf> {
    fn walk(dir: &Path, ending: &str, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).expect("a folder of the checkout").flatten() {
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            if path.is_dir() {
                if !matches!(name.as_str(), "target" | "node_modules" | "dist" | "data" | ".git") {
                    walk(&path, ending, found);
                }
            } else if name.ends_with(ending) {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&workspace_dir(), ending, &mut found);
    found.sort();
    found
}

fn shown(path: &Path) -> String {
    path.strip_prefix(workspace_dir()).unwrap_or(path).display().to_string()
}

fn read(path: impl AsRef<Path>) -> String {
    let path = workspace_dir().join(path);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Fails with all offences at once, so that one run shows the whole work.
fn check(rule: &str, offences: Vec<String>) {
    assert!(offences.is_empty(), "{rule}:\n  {}", offences.join("\n  "));
}

#[test]
fn imports_go_down_the_floors_and_never_sideways() {
    let floor = |name: &str| FLOORS.iter().find(|(known, _)| *known == name).map(|(_, floor)| *floor);
    let house: BTreeSet<String> = manifests().into_iter().map(|(name, _)| name).collect();
    let mut offences = Vec::new();
    for (name, dependencies) in manifests() {
        let own = floor(&name);
        if own.is_none() && name != BESIDE {
            offences.push(format!("{name} has no floor"));
        }
        for dependency in dependencies.intersection(&house) {
            let down = matches!((own, floor(dependency)), (Some(own), Some(theirs)) if theirs < own);
            if !down {
                offences.push(format!("{name} imports {dependency}"));
            }
        }
    }
    check("imports go from roof to rooms to engines to media", offences);
}

#[test]
fn a_heavy_dependency_is_named_by_one_crate() {
    let mut offences = Vec::new();
    for (name, dependencies) in manifests() {
        for (heavy, owner) in HEAVY {
            if dependencies.contains(heavy) && name != owner {
                offences.push(format!("{name} names {heavy}, which belongs to {owner}"));
            }
        }
    }
    check("one heavy dependency, one crate", offences);
}

#[test]
fn there_is_one_crypto_provider() {
    // Cargo.lock also lists what no feature switches on, so the tree of what is really built is asked.
    let manifest = workspace_dir().join("Cargo.toml").display().to_string();
    let words = ["tree", "--workspace", "--locked", "--offline", "--prefix", "none", "--format", "{p}"];
    let tree = tests::run_ok(cargo(), words.iter().copied().chain(["--manifest-path", &manifest]));
    let used: BTreeSet<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    let foreign = FOREIGN_CRYPTO.iter().filter(|name| used.contains(**name)).map(|name| (*name).to_owned()).collect();
    assert!(used.contains("aws-lc-rs"), "the tree was read: {tree}");
    check("aws-lc-rs is the one provider", foreign);
}

#[test]
fn unsafe_code_stays_in_pipelines() {
    let mut offences = Vec::new();
    for path in files(".rs") {
        let name = shown(&path);
        if name.starts_with("pipelines/") || name == "tests/tests/tidy.rs" {
            continue;
        }
        for (index, line) in read(&path).lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            let words: Vec<&str> = code.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
            if words.contains(&"unsafe") {
                offences.push(format!("{name}:{}", index + 1));
            }
        }
    }
    check("only pipelines holds unsafe code", offences);
}

#[test]
fn source_files_stay_readable() {
    let mut offences = Vec::new();
    for path in files(".rs").into_iter().chain(files(".ts")).chain(files(".tsx")) {
        let lines = read(&path).lines().count();
        if lines > LINES_MAX {
            offences.push(format!("{} has {lines} lines", shown(&path)));
        }
    }
    check(&format!("a file has at most {LINES_MAX} lines"), offences);
}

#[test]
fn every_crate_opens_with_its_docs() {
    let mut offences = Vec::new();
    for (name, _) in manifests() {
        let folder = if name == "weir" { PathBuf::new() } else { PathBuf::from(&name) };
        let root = [folder.join("src/lib.rs"), folder.join("src/main.rs")];
        let root = root.iter().find(|path| workspace_dir().join(path).exists()).expect("a crate has a root file");
        let header = read(root).lines().take_while(|line| line.starts_with("//!")).count();
        if header < 3 {
            offences.push(format!("{} opens with {header} lines of docs", root.display()));
        }
    }
    check("a crate says what it is, what it is not and who calls it", offences);
}

#[test]
fn sources_hold_no_unfinished_business_and_no_machine() {
    let homes = ["/root/", "/home/", "/Users/"].map(str::to_owned);
    let marks = ["TO", "FIX"].map(|start| format!("{start}{}", if start == "TO" { "DO" } else { "ME" }));
    let mut offences = Vec::new();
    let sources = [".rs", ".ts", ".tsx", ".toml", ".sh", ".sql", ".md", ".yml"].map(files).concat();
    for path in sources.into_iter().filter(|path| shown(path) != "tests/tests/tidy.rs") {
        let text = fs::read_to_string(&path).unwrap_or_default();
        for (index, line) in text.lines().enumerate() {
            let word = |mark: &String| line.split(|c: char| !c.is_alphanumeric()).any(|word| word == mark);
            if homes.iter().any(|home| line.contains(home.as_str())) || marks.iter().any(word) {
                offences.push(format!("{}:{}: {}", shown(&path), index + 1, line.trim()));
            }
        }
    }
    check("no path of one machine, nothing left to do", offences);
}

#[test]
fn the_readme_names_commands_that_exist() {
    let (readme, makefile) = (read("README.md"), read("Makefile"));
    let mut offences = Vec::new();
    for target in ["run", "test", "build", "check", "accept", "bench", "fuzz", "sim", "soak"] {
        if !readme.contains(&format!("make {target}")) {
            offences.push(format!("README.md does not name `make {target}`"));
        }
        if !makefile.lines().any(|line| line.starts_with(&format!("{target}:"))) {
            offences.push(format!("the Makefile has no target {target}"));
        }
    }
    check("a stranger finds the commands", offences);
}

#[test]
fn links_between_docs_lead_somewhere() {
    let mut offences = Vec::new();
    for path in files(".md") {
        let text = read(&path);
        let folder = path.parent().expect("a file lies in a folder");
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap_or_default();
            let outside = target.is_empty() || target.contains("://") || target.starts_with("mailto:");
            if !outside && !folder.join(target).exists() {
                offences.push(format!("{} links to {target}", shown(&path)));
            }
        }
    }
    check("every link has its file", offences);
}

/// Where a date is meant: the start of a session and its name, keys' expiry, audit rows, the test card's clock.
const WALL_CLOCK: [&str; 12] = [
    "packager/src/lib.rs",
    "pipelines/src/testcard.rs",
    "src/api/",
    "src/box_office.rs",
    "src/cli/",
    "src/copies/",
    "src/first_start.rs",
    "src/live/",
    "src/recordings/",
    "src/uploads/",
    "store/src/",
    "tests/",
];

#[test]
fn the_wall_clock_is_read_only_where_a_date_is_meant() {
    let mut offences = Vec::new();
    let is_code = |name: &str| !["/tests/", "/benches/", "/examples/"].iter().any(|folder| name.contains(folder));
    for path in files(".rs").into_iter().filter(|path| is_code(&shown(path))) {
        let name = shown(&path);
        let reads =
            |line: &str| line.contains("SystemTime::now") || line.contains(" now_ms()") || line.contains("(now_ms()");
        if !WALL_CLOCK.iter().any(|known| name.starts_with(known)) && read(&path).lines().any(reads) {
            offences.push(name);
        }
    }
    check("media, deadlines and limits run on a clock that never steps", offences);
}

#[test]
fn the_reliability_table_is_sorted_and_names_tests_that_exist() {
    let table = read("docs/reliability.md");
    let rows: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>())
        .filter(|cells| cells.len() == 3 && cells[0].get(1..).is_some_and(|n| n.parse::<u32>().is_ok()))
        .collect();
    let sources: String = files(".rs").iter().map(read).collect();
    let order = |row: &str| (row[..1].to_owned(), row[1..].parse::<u32>().expect("filtered above"));
    let mut offences = Vec::new();
    for pair in rows.windows(2).filter(|pair| order(pair[0][0]) >= order(pair[1][0])) {
        offences.push(format!("{} stands before {}", pair[0][0], pair[1][0]));
    }
    for row in &rows {
        let names: Vec<&str> = row[2].split('`').skip(1).step_by(2).collect();
        if names.is_empty() && !row[2].starts_with("not yet") {
            offences.push(format!("{} names no test", row[0]));
        }
        for name in names.into_iter().filter(|name| !name.starts_with("accept: ")) {
            let last = name.rsplit("::").next().unwrap_or(name);
            if !sources.contains(&format!("fn {last}(")) {
                offences.push(format!("{} names {name}, which is no test", row[0]));
            }
        }
    }
    assert!(rows.len() > 20, "the table was read: {table}");
    check("docs/reliability.md is sorted by row and its tests exist", offences);
}

#[test]
fn a_proof_is_one_test_that_passed_and_no_namesake() {
    let house = tempfile::tempdir().expect("a folder");
    for (path, text) in [
        (
            "docs/reliability.md",
            "| A1 | x | `plain`, `rtmp::bytes` |\n| A2 | x | `bytes`, `twice`, `halves`, `media::amf::bytes` |\n",
        ),
        ("ACCEPTANCE.md", ""),
        ("log", LOG),
    ] {
        let path = house.path().join(path);
        fs::create_dir_all(path.parent().expect("it has one")).expect("a folder");
        fs::write(path, text).expect("a file");
    }
    let script = house.path().join("scripts/proven");
    fs::create_dir_all(house.path().join("scripts")).expect("a folder");
    fs::copy(workspace_dir().join("scripts/proven"), &script).expect("a copy");
    // Read by its interpreter, not executed: a file just written is busy (ETXTBSY) for as long as a process that another
    // test started in that moment holds its descriptor.
    let output =
        std::process::Command::new("python3").arg(script).arg(house.path().join("log")).output().expect("it runs");
    assert!(!output.status.success());
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "not proven: A2 bytes could be media::wire::tests::bytes or rtmp::amf::tests::bytes; write which\n\
         not proven: A2 halves did not pass in this run\n\
         not proven: A2 media::amf::bytes did not pass in this run\n"
    );
}

#[test]
fn continuous_integration_runs_what_people_run() {
    let script = read(".ci/run");
    assert!(script.lines().any(|line| line.trim_start_matches("exec ") == "make test"), "{script}");
}

#[test]
fn what_a_stranger_expects_is_there() {
    let expected = [
        "weir.example.toml",
        "LICENSE-MIT",
        "LICENSE-APACHE",
        "ARCHITECTURE.md",
        "Cargo.lock",
        "player/package-lock.json",
    ];
    let missing = expected.iter().filter(|name| !workspace_dir().join(name).exists());
    check("these files belong to the project", missing.map(|name| (*name).to_owned()).collect());
}
