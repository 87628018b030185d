//! Clips to push, made once by ffmpeg and kept in `target/clips`.
//!
//! Every picture carries marks that survive scaling and encoding, so that a journey can prove that what plays is what
//! was pushed. Across the top twelfth of the picture lie [`CELLS`] cells: one white, one black, eight bits of the
//! clip's `mark`, fourteen bits of the picture's number (most significant first). During the first two pictures of each
//! second the lower half turns white, and a beep of 80 ms begins at the same instant.

use crate::flv::{self, Tag};
use crate::process::{modern_ffmpeg, run, run_ok, target_dir, tool};
use std::fmt::Write as _;
use std::path::PathBuf;

/// Cells in the row of marks.
pub const CELLS: usize = 24;
const MARK_BITS: usize = 8;
const NUMBER_BITS: usize = 14;

/// The coded pictures of a clip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VideoKind {
    /// 8-bit 4:2:0 H.264, what OBS sends.
    H264,
    /// HEVC Main; only the newer ffmpeg can push it.
    Hevc,
    /// No picture at all.
    None,
}

/// The sound of a clip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AudioKind {
    /// AAC-LC stereo at this many hertz.
    Aac(u32),
    /// AAC-LC stereo at 48 kHz with nothing to be heard.
    Silent,
    /// AAC-LC stereo at 48 kHz with 32 kb/s.
    Thin,
    /// AAC-LC with 5.1 channels at 48 kHz.
    Surround,
    /// Opus stereo; only the newer ffmpeg can push it.
    Opus,
    /// No sound at all.
    None,
}

/// What a clip is; equal clips share one file.
#[derive(Debug, Clone)]
pub struct Clip {
    /// Width and height in pixels, even.
    pub size: (u32, u32),
    /// Pictures a second.
    pub fps: u32,
    /// Pictures between two IDRs.
    pub gop: u32,
    /// Extra IDRs at these seconds, as a scene cut would put them.
    pub cuts: Vec<f64>,
    /// B-frames in a row, 0 to 3.
    pub bframes: u32,
    /// Length in seconds; a push ends there unless it loops.
    pub seconds: u32,
    /// Eight bits that tell this clip's pictures from another's.
    pub mark: u8,
    /// How the pictures are coded.
    pub video: VideoKind,
    /// How the sound is coded.
    pub audio: AudioKind,
    /// Target bit rate of the pictures in kb/s.
    pub kbps: u32,
    /// Drop pictures irregularly, keeping stamps.
    pub irregular: bool,
}

impl Default for Clip {
    /// 320x180 at 30 fps, one IDR a second, B-frames, stereo AAC: cheap enough for two cores.
    fn default() -> Self {
        Self {
            size: (320, 180),
            fps: 30,
            gop: 30,
            cuts: Vec::new(),
            bframes: 2,
            seconds: 40,
            mark: 0b1010_0110,
            video: VideoKind::H264,
            audio: AudioKind::Aac(48_000),
            kbps: 400,
            irregular: false,
        }
    }
}

impl Clip {
    /// The clip's file, made now if it is not there yet. Blocks while ffmpeg encodes (a few seconds).
    ///
    /// # Panics
    /// When ffmpeg cannot make it.
    #[track_caller]
    pub fn file(&self) -> PathBuf {
        let dir = target_dir().join("clips");
        std::fs::create_dir_all(&dir).expect("the target directory can be written");
        let file = dir.join(format!("{}.mkv", self.name()));
        if file.exists() {
            return file;
        }
        // Journeys run side by side: each makes its own and the last rename wins, with the same content.
        let draft = dir.join(format!("{}.{}.{:?}.mkv", self.name(), std::process::id(), std::thread::current().id()));
        let ffmpeg = if self.audio == AudioKind::Opus { modern_ffmpeg() } else { tool("ffmpeg") };
        let mut args = self.arguments();
        args.push(draft.display().to_string());
        let made = run(ffmpeg, &args);
        let complaint = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "ffmpeg could not make {self:?}:\n{complaint}\n{args:?}");
        std::fs::rename(&draft, &file).expect("a rename inside one folder");
        file
    }

    /// The clip as FLV tags, headers first. Only H.264 and AAC.
    ///
    /// # Panics
    /// When ffmpeg cannot write it as FLV.
    #[track_caller]
    pub fn tags(&self) -> Vec<Tag> {
        let dir = tempfile::tempdir().expect("a temporary folder can be made");
        let flv = dir.path().join("clip.flv").display().to_string();
        let file = self.file().display().to_string();
        run_ok(tool("ffmpeg"), ["-nostdin", "-v", "error", "-i", &file, "-c", "copy", &flv]);
        flv::tags(&std::fs::read(flv).expect("just written"))
    }

    fn name(&self) -> String {
        let mut name = format!(
            "{}x{}-{}fps-gop{}-bf{}-{}s-{:02x}-{}k",
            self.size.0, self.size.1, self.fps, self.gop, self.bframes, self.seconds, self.mark, self.kbps
        );
        let _ = write!(name, "-{:?}-{:?}-{}", self.video, self.audio, if self.irregular { "vfr" } else { "cfr" });
        for cut in &self.cuts {
            let _ = write!(name, "-{cut}");
        }
        name.replace(['(', ')'], "")
    }

    fn arguments(&self) -> Vec<String> {
        let mut args: Vec<String> = ["-v", "error", "-y", "-nostdin"].map(String::from).to_vec();
        let mut add = |words: &[&str]| args.extend(words.iter().map(|w| (*w).to_owned()));
        let (w, h) = self.size;
        let seconds = self.seconds.to_string();
        if self.video != VideoKind::None {
            let mut source = format!("testsrc2=s={w}x{h}:r={}:d={seconds},{}", self.fps, self.marks());
            if self.irregular {
                // Drops one picture in some groups of seven, never two in a row.
                source.push_str(",select='not(eq(mod(n\\,7)\\,3)+eq(mod(n\\,11)\\,5))'");
            }
            add(&["-f", "lavfi", "-i", &source]);
        }
        if let Some((rate, layout)) = self.sound() {
            let volume = if self.audio == AudioKind::Silent { "0*" } else { "" };
            let beep = format!(
                "aevalsrc='{volume}if(lt(mod(t,1),0.08),0.6*sin(2*PI*1000*t),0.02*sin(2*PI*220*t))':s={rate}:d={seconds}:c={layout}"
            );
            add(&["-f", "lavfi", "-i", &beep]);
        }
        let rate = format!("{}k", self.kbps);
        let (gop, bframes) = (self.gop.to_string(), self.bframes.to_string());
        match self.video {
            VideoKind::H264 => {
                add(&["-c:v", "libx264", "-preset", "ultrafast", "-profile:v", "main", "-bf", &bframes]);
                add(&["-g", &gop, "-keyint_min", &gop, "-x264-params", "scenecut=0:open-gop=0"]);
            }
            VideoKind::Hevc => {
                let params = format!(
                    "log-level=none:keyint={gop}:min-keyint={gop}:scenecut=0:open-gop=0:bframes={bframes}:repeat-headers=0"
                );
                add(&["-c:v", "libx265", "-preset", "ultrafast", "-tag:v", "hvc1", "-x265-params", &params]);
            }
            VideoKind::None => {}
        }
        if self.video != VideoKind::None {
            add(&["-pix_fmt", "yuv420p", "-b:v", &rate, "-maxrate", &rate, "-bufsize", &rate]);
            if self.irregular {
                add(&["-fps_mode", "passthrough"]);
            }
            if !self.cuts.is_empty() {
                let cuts: Vec<String> = self.cuts.iter().map(f64::to_string).collect();
                add(&["-force_key_frames", &cuts.join(",")]);
            }
        }
        match self.audio {
            AudioKind::Aac(_) | AudioKind::Silent => add(&["-c:a", "aac", "-b:a", "96k"]),
            AudioKind::Thin => add(&["-c:a", "aac", "-b:a", "32k"]),
            AudioKind::Surround => add(&["-c:a", "aac", "-b:a", "256k"]),
            AudioKind::Opus => add(&["-c:a", "libopus", "-b:a", "96k"]),
            AudioKind::None => {}
        }
        add(&["-t", &seconds]);
        args
    }

    fn sound(&self) -> Option<(u32, &'static str)> {
        match self.audio {
            AudioKind::Aac(rate) => Some((rate, "stereo")),
            AudioKind::Surround => Some((48_000, "5.1")),
            AudioKind::Silent | AudioKind::Thin | AudioKind::Opus => Some((48_000, "stereo")),
            AudioKind::None => None,
        }
    }

    /// The filters that draw the row of cells and the flash.
    fn marks(&self) -> String {
        let (w, h) = self.size;
        let edge = |cell: usize| cell as u32 * w / CELLS as u32;
        let tall = h / 12;
        let mut filters = format!("drawbox=x=0:y=0:w={w}:h={tall}:c=black:t=fill");
        let mut white = |cell: usize, when: &str| {
            let (x, wide) = (edge(cell), edge(cell + 1) - edge(cell));
            let _ = write!(filters, ",drawbox=x={x}:y=0:w={wide}:h={tall}:c=white:t=fill{when}");
        };
        white(0, "");
        for bit in (0..MARK_BITS).filter(|bit| self.mark >> (MARK_BITS - 1 - bit) & 1 == 1) {
            white(2 + bit, "");
        }
        for bit in 0..NUMBER_BITS {
            let weight = 1u32 << (NUMBER_BITS - 1 - bit);
            white(2 + MARK_BITS + bit, &format!(":enable='eq(mod(floor(n/{weight})\\,2)\\,1)'"));
        }
        let (top, fps) = (h / 2, self.fps);
        let _ = write!(filters, ",drawbox=x=0:y={top}:w={w}:h={top}:c=white:t=fill:enable='lt(mod(n\\,{fps})\\,2)'");
        filters
    }
}

/// Reads the row of cells from the mean brightness of each: `(mark, number)`, or `None` when the row is not readable.
pub(crate) fn read_cells(cells: &[u8; CELLS]) -> Option<(u8, u32)> {
    let (white, black) = (i32::from(cells[0]), i32::from(cells[1]));
    if white - black < 80 {
        return None;
    }
    let middle = (white + black) / 2;
    let value = |bits: &[u8]| bits.iter().fold(0u32, |sum, &cell| sum << 1 | u32::from(i32::from(cell) > middle));
    Some((value(&cells[2..2 + MARK_BITS]) as u8, value(&cells[2 + MARK_BITS..])))
}
