//! HEVC configurations of a real encoder, read by us and by ffprobe.

use bytes::Bytes;
use media::{ColorInfo, VideoConfig, hevc};
use std::path::Path;
use std::process::Command;

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().expect("it is installed");
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn read(path: &Path) -> VideoConfig {
    let file = Bytes::from(std::fs::read(path).expect("ffmpeg wrote it"));
    let at = file.windows(4).position(|w| w == b"hvcC").expect("a configuration");
    let size = u32::from_be_bytes(file[at - 4..at].try_into().expect("four bytes")) as usize;
    hevc::parse_config(&file.slice(at + 4..at - 4 + size)).expect("ffmpeg's record is good")
}

/// What ffprobe calls the values of table E.3 to E.5 that are used here.
fn color_names(color: ColorInfo) -> [&'static str; 4] {
    let primaries = match color.primaries {
        1 => "bt709",
        9 => "bt2020",
        _ => "unknown",
    };
    let transfer = match color.transfer {
        1 => "bt709",
        16 => "smpte2084",
        _ => "unknown",
    };
    let matrix = match color.matrix {
        1 => "bt709",
        9 => "bt2020nc",
        _ => "unknown",
    };
    [if color.full_range { "pc" } else { "tv" }, primaries, transfer, matrix]
}

fn check(name: &str, pictures: &str, pixels: &str, x265: &str) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let path = folder.join(format!("hevc-{name}.mp4"));
    let to = path.to_str().expect("a plain path");
    let input = format!("testsrc2=size={pictures}");
    let x265 = format!("log-level=none:pools=1:{x265}");
    let source = ["-v", "error", "-y", "-f", "lavfi", "-i", &input, "-frames:v", "12", "-pix_fmt", pixels];
    let output = ["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", &x265, "-tag:v", "hvc1", to];
    run("ffmpeg", &[&source[..], &output[..]].concat());
    let entries = "stream=width,height,pix_fmt,sample_aspect_ratio,r_frame_rate,color_range,color_primaries,color_transfer,color_space";
    let told = run("ffprobe", &["-v", "error", "-show_entries", entries, "-of", "default=nw=1", to]);
    let field = |key: &str| {
        let line = told.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.unwrap_or_else(|| panic!("{key} in {told}"))
    };
    let config = read(&path);
    assert_eq!((config.width.to_string(), config.height.to_string()), (field("width").into(), field("height").into()));
    assert_eq!((config.is_420, config.bit_depth), (pixels.contains("420"), if pixels.contains("10") { 10 } else { 8 }));
    assert_eq!(field("pix_fmt"), pixels);
    let (across, down) = config.sample_aspect;
    assert_eq!(field("sample_aspect_ratio"), format!("{across}:{down}"));
    let (num, den) = field("r_frame_rate").split_once('/').expect("a fraction");
    let rate: f64 = num.parse::<f64>().expect("a number") / den.parse::<f64>().expect("a number");
    assert!(config.frame_rate.is_some_and(|own| (own - rate).abs() < 1e-6), "{:?} is not {rate}", config.frame_rate);
    let said = ["color_range", "color_primaries", "color_transfer", "color_space"].map(field);
    if said[0] != "unknown" {
        assert_eq!(color_names(config.color), said);
    }
}

#[test]
fn configurations_of_x265_are_read_as_ffprobe_reads_them() {
    // 1080 rows are 1088 coded ones; 270x478 is coded in blocks of 8 or 16 as well.
    check("rows", "1920x1080:rate=30", "yuv420p", "keyint=12");
    check("portrait", "270x478:rate=24000/1001,setsar=64/45", "yuv420p10le", "keyint=12:bframes=3:b-pyramid=1");
    check(
        "chroma",
        "320x180:rate=50",
        "yuv422p10le",
        "keyint=12:range=full:colorprim=bt709:transfer=bt709:colormatrix=bt709",
    );
    check("wide", "426x240:rate=60", "yuv444p", "keyint=12:scaling-list=default:multi-pass-opt-rps=1:bframes=4");
    check(
        "hdr",
        "640x360:rate=25",
        "yuv420p10le",
        "keyint=12:temporal-layers=3:bframes=4:hdr10=1:range=limited:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:ref=5",
    );
}
