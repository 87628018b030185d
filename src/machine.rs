//! What this machine must have for media work, asked of a worker in its sandbox.

use anyhow::{Context as _, bail};
use media::wire::EncoderChoice;
use pipelines::Report;

/// What GStreamer has here, when it is enough to serve with `encoder`. Takes some tenths of a second: a worker is started
/// to look.
///
/// # Errors
/// One sentence naming what is missing and the package to install.
pub async fn require_media(encoder: EncoderChoice) -> anyhow::Result<Report> {
    let exe = std::env::current_exe().context("this program does not find its own file")?;
    let report = tokio::task::spawn_blocking(move || pipelines::check(&exe)).await?;
    let report = report.context("GStreamer cannot be used; on Debian: apt install gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly gstreamer1.0-libav")?;
    if let Some(complaint) = report.complaint() {
        bail!(complaint);
    }
    if let Some(missing) = missing_encoder(&report, &encoder) {
        bail!(missing);
    }
    Ok(report)
}

/// A sentence when the configured encoder is known not to be there. An element nobody knows is left to its trial encode.
fn missing_encoder(report: &Report, encoder: &EncoderChoice) -> Option<String> {
    let name = match encoder {
        EncoderChoice::Auto => return None,
        EncoderChoice::X264 => "x264enc",
        EncoderChoice::OpenH264 => "openh264enc",
        EncoderChoice::Element(name) => name,
    };
    let element = report.elements.iter().find(|e| e.name == name && !e.present)?;
    Some(format!(
        "the encoder {name} of transcode.encoder is missing: apt install {}, or set another encoder",
        element.package
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipelines::Element;

    #[test]
    fn a_configured_encoder_that_is_missing_is_named_with_its_package() {
        let element = Element {
            name: "openh264enc".into(),
            present: false,
            required: false,
            package: "gstreamer1.0-plugins-bad".into(),
            purpose: "encoding".into(),
        };
        let report = Report {
            gstreamer: "1.22".into(),
            packages: vec![],
            elements: vec![element],
            sandbox: String::new(),
            speed: 53e6,
        };
        let said = missing_encoder(&report, &EncoderChoice::OpenH264).unwrap();
        assert!(said.contains("openh264enc") && said.contains("gstreamer1.0-plugins-bad"), "{said}");
        assert_eq!(missing_encoder(&report, &EncoderChoice::X264), None);
    }
}
