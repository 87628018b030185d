//! Real encoders that push to the server.

use crate::process::{Process, modern_ffmpeg, tool};
use crate::{AudioKind, Clip, VideoKind};
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::Duration;

/// One running ffmpeg that pushes a clip in real time. Dropping it kills it.
pub struct Publisher {
    process: Process,
}

impl Publisher {
    /// Pushes the clip's coded pictures and sound as they are, in real time, once through.
    #[track_caller]
    pub fn push(clip: &Clip, url: &str) -> Self {
        Self::push_with(&["-re"], clip, url)
    }

    /// The same again and again, until it is dropped.
    #[track_caller]
    pub fn endless(clip: &Clip, url: &str) -> Self {
        Self::push_with(&["-re", "-stream_loop", "-1"], clip, url)
    }

    #[track_caller]
    fn push_with(input: &[&str], clip: &Clip, url: &str) -> Self {
        let modern = clip.video == VideoKind::Hevc || clip.audio == AudioKind::Opus;
        let ffmpeg = if modern { modern_ffmpeg() } else { tool("ffmpeg") };
        let file = clip.file();
        let mut options = vec!["-c", "copy"];
        if modern {
            // Without this list ffmpeg refuses to send anything but the codecs of 2002.
            options.extend(["-rtmp_enhanced_codecs", "hvc1,Opus"]);
        }
        Self::ffmpeg(&ffmpeg, input, &file, &options, url)
    }

    /// Any ffmpeg push: `input` options, the file, `output` options.
    #[track_caller]
    pub fn ffmpeg(ffmpeg: &Path, input: &[&str], file: &Path, output: &[&str], url: &str) -> Self {
        let mut command = Command::new(ffmpeg);
        command.args(["-nostdin", "-v", "warning"]).args(input).arg("-i").arg(file).args(output);
        command.args(["-f", "flv"]).arg(url);
        Self { process: Process::start("ffmpeg (publisher)", command) }
    }

    /// Stops as a person does: ffmpeg says goodbye and ends. Waits for that.
    ///
    /// # Panics
    /// When it has not ended after 5 s.
    #[track_caller]
    pub fn stop(mut self) -> String {
        self.process.signal("INT");
        self.process.expect_end(Duration::from_secs(5));
        self.process.said()
    }

    /// Ends without a goodbye, as a crashed encoder does.
    pub fn kill(self) {}

    /// Waits for its end by itself.
    ///
    /// # Panics
    /// When it still runs after `patience`.
    #[track_caller]
    pub fn expect_end(&mut self, patience: Duration) -> ExitStatus {
        self.process.expect_end(patience)
    }

    /// Whether it still pushes.
    pub fn is_running(&mut self) -> bool {
        self.process.is_running()
    }

    /// What ffmpeg said so far.
    pub fn said(&self) -> String {
        self.process.said()
    }
}
