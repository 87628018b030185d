//! The configuration as an operator meets it, in a folder and an environment of the test's own.

use super::explain::paths;
use super::*;
use tempfile::TempDir;

struct Bed {
    here: TempDir,
}

impl Bed {
    fn new() -> Self {
        Self { here: tempfile::tempdir().unwrap() }
    }

    fn with_file(text: &str) -> Self {
        Self::new().file("weir.toml", text)
    }

    fn file(self, name: &str, text: &str) -> Self {
        let path = self.here.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    fn load(&self, overrides: &Overrides, environment: &[(&str, &str)]) -> Result<Config, String> {
        Config::load_from(overrides, self.here.path(), Environment::of(environment))
            .map_err(|error| format!("{error:#}"))
    }

    fn refused(&self) -> String {
        self.load(&Overrides::default(), &[]).unwrap_err()
    }
}

#[test]
fn zero_config_is_the_defaults() {
    let others = [("WEIR_CONFIG", "x"), ("WEIR_DEMO_KEY", "x"), ("WEIR_TEST_POSTGRES", "skip"), ("HOME", "/")];
    assert_eq!(Bed::new().load(&Overrides::default(), &others), Ok(Config::default()));
}

#[test]
fn the_example_holds_every_key_with_its_default() {
    let example: Figment = Figment::from(Toml::string(include_str!("../../weir.example.toml")));
    let given: Value = example.find_value("").unwrap();
    let (mut named, mut known) = (Vec::new(), Vec::new());
    paths(given.as_dict().unwrap(), "", &mut named);
    paths(Value::serialize(Config::default()).unwrap().as_dict().unwrap(), "", &mut known);
    assert_eq!(named, known);
    assert_eq!(example.extract::<Config>().unwrap(), Config::default());
}

#[test]
fn file_environment_and_flags_win_in_this_order() {
    let bed = Bed::with_file("http = 1001\nhttps = 1002\nrtmp = 1003\n[transcode]\nladder = \"none\"");
    let environment = [
        ("WEIR_HTTPS", "2002"),
        ("WEIR_RTMP", "127.0.0.1:2003"),
        ("WEIR_TRANSCODE__THUMBNAIL_S", "9"),
        ("WEIR_TRANSCODE__ENCODER", "openh264"),
        ("WEIR_DEMO", "0"),
    ];
    let overrides = Overrides { rtmp: Some("off".parse().unwrap()), ..Overrides::default() };
    let config = bed.load(&overrides, &environment).unwrap();
    let listeners = [config.http, config.https, config.rtmp, config.rtmps].map(|l| l.to_string());
    assert_eq!(listeners, ["0.0.0.0:1001", "0.0.0.0:2002", "off", "0.0.0.0:1936"]);
    let transcode = TranscodeConfig {
        ladder: "none".into(),
        encoder: "openh264".into(),
        thumbnail_s: 9,
        ..TranscodeConfig::default()
    };
    assert_eq!((config.transcode, config.demo), (transcode, false));
}

#[test]
fn the_data_directorys_own_file_is_found() {
    let bed = Bed::new().file("kept/weir.toml", "public_host = \"live.example.org\"");
    let overrides = Overrides { data_dir: Some("kept".into()), ..Overrides::default() };
    let config = bed.load(&overrides, &[]).unwrap();
    assert_eq!((config.host(), &config.data_dir), ("live.example.org", &PathBuf::from("kept")));
    assert_eq!(bed.load(&Overrides::default(), &[("WEIR_DATA_DIR", "kept")]).unwrap().host(), "live.example.org");
}

#[test]
fn an_unknown_key_is_named_with_its_source_and_the_nearest() {
    let refused = Bed::with_file("htttp = 8080").refused();
    assert!(
        refused.contains("weir.toml") && refused.contains("\"htttp\"") && refused.contains("\"http\""),
        "{refused}"
    );
    let refused = Bed::with_file("[transcode]\nthumbnails = 3").refused();
    assert!(refused.contains("\"transcode.thumbnails\"") && refused.contains("\"transcode.thumbnail_s\""), "{refused}");
    let refused = Bed::new().load(&Overrides::default(), &[("WEIR_RTPM", "1935")]).unwrap_err();
    assert!(refused.contains("WEIR_RTPM") && refused.contains("\"rtmp\""), "{refused}");
}

#[test]
fn values_out_of_range_are_named_with_what_would_be_right() {
    let cases = [
        ("http = \"here\"", &["http", "ADDRESS:PORT"][..]),
        ("http = 70000", &["http", "65535"]),
        ("demo = 3", &["demo", "true"]),
        ("database = \"mysql://u:secret@h/d\"", &["mysql://h/d", "postgres://"]),
        ("public_host = \"http://x\"", &["public_host"]),
        ("[tls]\ncert = \"a.pem\"", &["tls.key"]),
        ("[ingest]\nsilence_timeout_s = 1", &["ingest.silence_timeout_s", "5 to 300"]),
        ("[playout]\nplayers_max = 0", &["playout.players_max", "1 to 100000"]),
        ("[web]\ntrusted_proxies = [\"ten\"]", &["web.trusted_proxies", "ten"]),
        ("[web]\nembed_parents = [\"https://a.example/page\"]", &["web.embed_parents", "https://a.example/page"]),
        ("[transcode]\nladder = \"721p:1M\"", &["transcode.ladder", "721p"]),
        ("[transcode]\nencoder = \"rm -rf\"", &["transcode.encoder"]),
        ("[health]\npace = 2.0", &["health.pace", "0.5 to 0.99"]),
        ("[health]\nkeyframe_s = nan", &["health.keyframe_s", "0.5 to 20"]),
        ("[log]\nlevel = \"a=b=c\"", &["log.level"]),
        ("[log]\nformat = \"xml\"", &["log.format", "json"]),
        ("http = ", &["weir.toml"]),
    ];
    for (toml, words) in cases {
        let refused = Bed::with_file(toml).refused();
        assert!(words.iter().all(|word| refused.contains(word)), "{toml:?}: {refused}");
        assert!(!refused.contains("secret"), "{refused}");
    }
}

#[test]
fn a_missing_file_that_was_named_is_an_error() {
    let overrides = Overrides { file: Some("/nonexistent/other.toml".into()), ..Overrides::default() };
    let refused = Bed::new().load(&overrides, &[]).unwrap_err();
    assert!(refused.contains("/nonexistent/other.toml"), "{refused}");
}
