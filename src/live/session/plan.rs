//! What a session is made of: which renditions a source gets, and what its streamer should know.

use super::super::Context;
use super::Facts;
use super::source::Probed;
use crate::copies::Offer;
use media::{Announced, VideoCodec};
use packager::{SourceFacts, VideoFacts};
use std::sync::Arc;
use std::time::Duration;
use store::StreamSettings;
use transcoder::{Ladder, Share, SourceShape};

/// A source whose keyframes are at most this far apart can be passed through (DESIGN decision 4).
pub const PASSTHROUGH_KEYFRAME_MAX: Duration = Duration::from_secs(3);
/// Frame rates that differ by less are the same.
const SAME_RATE: f64 = 0.01;

pub struct Choices {
    pub passthrough: bool,
    pub rungs: Vec<media::Rung>,
    /// Names of those that found no room.
    pub withheld: Vec<String>,
    /// Why the source is not passed through although the stream's settings allow it: cause and cure.
    pub reencoded: Option<Reencoded>,
    /// What is planned on for them.
    pub share: Option<Share>,
    pub ladder: Ladder,
    pub shape: Option<SourceShape>,
}

/// Why a source is re-encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reencoded {
    /// For what it is: one plain sentence with its cure.
    Unfit(String),
    /// Its key's last session had keyframes this far apart.
    Remembered(Duration),
    /// For what the publisher was before it came back.
    Earlier,
}

/// Not even the smallest rendition fits what other sessions leave of the machine.
#[derive(Debug, thiserror::Error)]
#[error("it would take {needed:.2} cores and {free:.2} are free")]
pub struct Crowded {
    needed: f64,
    free: f64,
}

/// Which renditions this source gets: the largest ladder that fits the machine beside the sessions there are.
///
/// # Errors
/// [`Crowded`], or when the stream's own ladder can't be read.
pub fn choose(
    context: &Context,
    settings: &StreamSettings,
    keyframe_interval: Option<Duration>,
    facts: &SourceFacts,
) -> anyhow::Result<Choices> {
    let ladder = ladder(context, settings)?;
    let Some(video) = &facts.video else {
        return Ok(Choices {
            passthrough: false,
            rungs: Vec::new(),
            withheld: Vec::new(),
            reencoded: None,
            share: None,
            ladder,
            shape: None,
        });
    };
    let keyframes_fit = keyframe_interval.is_none_or(|i| i <= PASSTHROUGH_KEYFRAME_MAX);
    let passthrough = settings.passthrough && video.passthrough.is_ok() && keyframes_fit;
    let shape = shape(video);
    let mut rungs = ladder.rungs(&shape, !passthrough || is_hevc(video));
    if passthrough && let Some(top) = rungs.iter_mut().find(|r| r.name == "source") {
        // The HEVC source is passed through under that name; players without HEVC get a picture of its size too.
        top.name = format!("{}p", top.width.min(top.height));
    }
    let budget = &context.settings.budget;
    let mut withheld: Vec<String> = rungs.iter().map(|rung| rung.name.clone()).collect();
    let share =
        budget.take(&mut rungs, &shape, !passthrough).map_err(|needed| Crowded { needed, free: budget.free() })?;
    // Those that are given are the smallest, at the end.
    withheld.truncate(withheld.len() - rungs.len());
    if !withheld.is_empty() {
        metrics::counter!("weir_session_rungs_withheld_total").increment(withheld.len() as u64);
        tracing::warn!(
            withheld = withheld.join(","),
            given = rungs.len(),
            free_cores = budget.free(),
            "this machine can't encode the whole ladder beside the streams that are live; its largest renditions are left out"
        );
    }
    let reencoded = match (&video.passthrough, keyframe_interval) {
        _ if passthrough || !settings.passthrough => None,
        (Err(reason), _) => Some(Reencoded::Unfit(reason.clone())),
        (Ok(()), interval) => interval.map(Reencoded::Remembered),
    };
    Ok(Choices { passthrough, rungs, withheld, reencoded, share: Some(share), ladder, shape: Some(shape) })
}

pub fn is_hevc(video: &VideoFacts) -> bool {
    video.config.codec == VideoCodec::Hevc
}

/// RFC 6381 names of the source's tracks.
pub fn codecs(facts: &SourceFacts) -> String {
    let video = facts.video.as_ref().map(|v| v.config.codecs.clone());
    let audio = facts.audio.as_ref().map(|a| a.config.codecs());
    [video, audio].into_iter().flatten().collect::<Vec<_>>().join(",")
}

/// What a session has for copies, before its media comes.
pub fn offered(
    facts: &SourceFacts,
    announced: Option<&Announced>,
    rungs: &[media::Rung],
    is_sound_encoded: bool,
) -> Offer {
    let source = restream::Source {
        video: facts.video.as_ref().map(|video| Arc::clone(&video.config)),
        audio: facts.audio.as_ref().map(|audio| Arc::clone(&audio.config)),
        announced: announced.cloned().unwrap_or_default(),
    };
    Offer { source, rungs: rungs.to_vec(), is_sound_encoded }
}

/// A session that begins, in one sentence.
pub fn introduced(seen: &Facts, facts: &SourceFacts, passthrough: bool, rungs: &[media::Rung]) -> String {
    let mut said = vec![format!("Live with {}", codecs(facts))];
    said.extend(seen.size.map(|(width, height)| format!("{width}x{height}")));
    said.extend(seen.frame_rate.map(|rate| format!("{} frames a second", (rate.as_f64() * 100.0).round() / 100.0)));
    if passthrough {
        said.push("passed through".into());
    }
    if !rungs.is_empty() {
        said.push(format!("encoded as {}", rungs.iter().map(|r| r.name.as_str()).collect::<Vec<_>>().join(" and ")));
    }
    said.join(", ") + "."
}

/// One line per thing the streamer can mend, with the setting that mends it.
pub fn warn_of_source(probed: &Probed) {
    if let Some(Err(reason)) = probed.facts.video.as_ref().map(|v| &v.passthrough) {
        tracing::warn!(reason, "the source can't be passed through and is re-encoded");
    }
    if probed.facts.audio.is_none() {
        tracing::warn!("the stream has no audio; in OBS, add a sound source and unmute it in the Audio Mixer");
    }
}

/// The stream's ladder, or the server's.
pub fn ladder(context: &Context, settings: &StreamSettings) -> anyhow::Result<Ladder> {
    Ok(match &settings.ladder {
        Some(own) => own.parse()?,
        None => context.settings.ladder.clone(),
    })
}

/// What the ladder must know of a picture.
pub fn shape(video: &VideoFacts) -> SourceShape {
    SourceShape {
        width: video.config.width,
        height: video.config.height,
        sample_aspect: video.config.sample_aspect,
        frame_rate: video.frame_rate,
    }
}

/// Whether the media of a publisher that comes back goes on in the session of the one before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fit {
    /// It does.
    Whole,
    /// It does, but its pictures can be passed through no longer; the sentence says why.
    Reencoded(String),
    /// Another codec or another set of tracks: players can't go on in the same playlists (DESIGN 8.5).
    Not(&'static str),
}

/// Compares what comes with what the session was made for. A track that is not `announced` away may still come: an encoder
/// that reconnects in the middle of a group sends no picture until its next keyframe. `passes` tells whether the session's
/// pictures are passed through now.
pub fn fit(was: &SourceFacts, is: &SourceFacts, announced: &Announced, passes: bool, audio_encoded: bool) -> Fit {
    match (&was.audio, &is.audio) {
        (None, None) => {}
        (Some(_), None) if announced.audio != Some(false) => {}
        (Some(a), Some(b)) if a.config.codec == b.config.codec && (audio_encoded || b.passthrough) => {}
        (Some(_), Some(_)) => return Fit::Not("its sound is of another kind"),
        _ => return Fit::Not("it has other tracks"),
    }
    let (a, b) = match (&was.video, &is.video) {
        (None, None) => return Fit::Whole,
        (Some(_), None) if announced.video != Some(false) => return Fit::Whole,
        (Some(a), Some(b)) => (a, b),
        _ => return Fit::Not("it has other tracks"),
    };
    if a.config.codec != b.config.codec {
        return Fit::Not("its pictures are of another codec");
    }
    if !passes {
        return Fit::Whole;
    }
    if let Err(reason) = &b.passthrough {
        return Fit::Reencoded(reason.clone());
    }
    if (a.frame_rate.as_f64() / b.frame_rate.as_f64() - 1.0).abs() > SAME_RATE {
        return Fit::Reencoded(format!(
            "The publisher came back with {:.2} pictures a second instead of {:.2}, so the source is re-encoded until the stream ends; keep the frame rate.",
            b.frame_rate.as_f64(),
            a.frame_rate.as_f64()
        ));
    }
    Fit::Whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use media::{AudioCodec, AudioConfig, ColorInfo, FrameRate, VideoConfig};
    use packager::AudioFacts;
    use std::sync::Arc;

    fn facts(fps: u32, height: u32, sound: Option<AudioCodec>) -> SourceFacts {
        let config = VideoConfig {
            codec: VideoCodec::H264,
            record: Bytes::new(),
            nal_length_size: 4,
            width: height * 16 / 9,
            height,
            sample_aspect: (1, 1),
            codecs: String::new(),
            bit_depth: 8,
            is_420: true,
            is_interlaced: false,
            frame_rate: None,
            color: ColorInfo::UNSPECIFIED,
        };
        let frame_rate = FrameRate { num: fps, den: 1 };
        let video = VideoFacts { config: Arc::new(config), frame_rate, bitrate_bps: 1, passthrough: Ok(()) };
        let audio = sound.map(|codec| {
            let config = AudioConfig {
                codec,
                record: Bytes::new(),
                sample_rate: 48_000,
                channels: 2,
                object_type: 2,
                frame_samples: 1024,
            };
            AudioFacts { passthrough: config.is_passthrough(), config: Arc::new(config) }
        });
        SourceFacts { video: Some(video), audio }
    }

    #[test]
    fn another_size_goes_on_and_another_codec_does_not() {
        let was = facts(30, 720, Some(AudioCodec::Aac));
        assert_eq!(fit(&was, &facts(30, 1080, Some(AudioCodec::Aac)), &Announced::default(), true, false), Fit::Whole);
        assert!(matches!(
            fit(&was, &facts(30, 720, Some(AudioCodec::Opus)), &Announced::default(), true, true),
            Fit::Not(_)
        ));
    }

    #[test]
    fn a_track_that_has_not_come_yet_is_not_another_set_of_tracks() {
        let was = facts(30, 720, Some(AudioCodec::Aac));
        let late = SourceFacts { video: None, ..was.clone() };
        assert_eq!(fit(&was, &late, &Announced::default(), true, false), Fit::Whole);
        assert_eq!(fit(&was, &facts(30, 720, None), &Announced::default(), true, false), Fit::Whole);
        let alone = Announced { video: Some(false), ..Announced::default() };
        assert!(matches!(fit(&was, &late, &alone, true, false), Fit::Not(_)));
        let mute = Announced { audio: Some(false), ..Announced::default() };
        assert!(matches!(fit(&was, &facts(30, 720, None), &mute, true, false), Fit::Not(_)));
        assert!(
            matches!(fit(&late, &was, &Announced::default(), true, false), Fit::Not(_)),
            "players have no such track"
        );
    }

    #[test]
    fn another_frame_rate_ends_passthrough_and_nothing_else() {
        let was = facts(30, 720, None);
        assert!(matches!(fit(&was, &facts(60, 720, None), &Announced::default(), true, false), Fit::Reencoded(_)));
        assert_eq!(fit(&was, &facts(60, 720, None), &Announced::default(), false, false), Fit::Whole);
        let mut interlaced = facts(30, 720, None);
        if let Some(video) = &mut interlaced.video {
            video.passthrough = Err("It is interlaced.".into());
        }
        assert_eq!(
            fit(&was, &interlaced, &Announced::default(), true, false),
            Fit::Reencoded("It is interlaced.".into())
        );
    }
}
