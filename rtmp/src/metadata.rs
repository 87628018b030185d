use crate::amf0::Value;
use media::Announced;

/// Longest encoder name kept, in characters.
const NAME_CHARS_MAX: usize = 128;

/// What `onMetaData` promises. Absent or odd values are simply not announced.
pub(crate) fn announced(metadata: &Value) -> Announced {
    let has = |keys: &[&str]| keys.iter().any(|k| metadata.get(k).is_some());
    let flag = |key| metadata.get(key).and_then(Value::as_number).map(|n| n != 0.0);
    let video = has(&["videocodecid", "videodatarate", "width"]);
    let audio = has(&["audiocodecid", "audiodatarate", "audiosamplerate"]);
    // ffmpeg, OBS and FMLE list the keys of both tracks when both come; so one alone means that the other will not.
    let heard =
        |says: Option<bool>, this: bool, other: bool| says.or(if this { Some(true) } else { other.then_some(false) });
    Announced {
        video: heard(flag("hasVideo"), video, audio),
        audio: heard(flag("hasAudio"), audio, video),
        frame_rate: metadata.get("framerate").and_then(Value::as_number).filter(|fps| *fps > 0.0),
        // In kilobits; 0 where the encoder does not know.
        audio_bps: metadata
            .get("audiodatarate")
            .and_then(Value::as_number)
            .filter(|kbps| *kbps > 0.0)
            .map(|kbps| kbps * 1e3),
        encoder: metadata.get("encoder").and_then(Value::as_str).and_then(name),
    }
}

/// A peer's name for itself, without control characters, cut to [`NAME_CHARS_MAX`]; `None` when nothing is left.
pub(crate) fn name(text: &str) -> Option<String> {
    let clean: String = text.chars().filter(|c| !c.is_control()).take(NAME_CHARS_MAX).collect();
    (!clean.trim().is_empty()).then_some(clean)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::amf0::object;

    #[test]
    fn tracks_are_announced_by_their_keys() {
        let both = object([("width", 1280.0.into()), ("audiocodecid", "mp4a".into()), ("framerate", 30.0.into())]);
        let got = announced(&both);
        assert_eq!((got.video, got.audio, got.frame_rate), (Some(true), Some(true), Some(30.0)));
        let sound = announced(&object([("audiosamplerate", 48_000.0.into()), ("audiodatarate", 160.0.into())]));
        assert_eq!((sound.video, sound.audio, sound.audio_bps), (Some(false), Some(true), Some(160_000.0)));
        assert_eq!(announced(&object([("duration", 0.0.into())])), Announced::default());
        assert_eq!(announced(&Value::Null), Announced::default());
    }

    #[test]
    fn odd_values_are_not_announced() {
        let got =
            announced(&object([("framerate", f64::NAN.into()), ("encoder", "obs\u{7}".repeat(100).as_str().into())]));
        assert_eq!(got.frame_rate, None);
        assert_eq!(got.encoder.map(|e| e.len()), Some(128));
    }
}
