//! Segments of a live rendition, saved while they are listed, so that other programs can look at them in peace.

use crate::hls;
use crate::look;
use crate::server::Server;
use std::collections::BTreeMap;
use tempfile::TempDir;

/// Segments of one rendition, saved. A run is a stretch with one init segment and no discontinuity, one file each.
pub struct Recording {
    dir: TempDir,
    /// The init segment of the newest run.
    init: Vec<u8>,
    runs: Vec<(String, Vec<hls::Segment>)>,
}

impl Recording {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder can be made");
        Self { dir, init: Vec::new(), runs: Vec::new() }
    }

    /// How many segments it holds.
    pub fn count(&self) -> usize {
        self.runs.iter().map(|(_, segments)| segments.len()).sum()
    }

    /// The file of each run, playable by itself, with its segments.
    pub fn runs(&self) -> Vec<(String, &[hls::Segment])> {
        self.runs.iter().enumerate().map(|(index, run)| (self.file(index), run.1.as_slice())).collect()
    }

    /// The file of the only run.
    ///
    /// # Panics
    /// When there was a discontinuity or none was fetched.
    #[track_caller]
    pub fn only_file(&self) -> String {
        assert_eq!(self.runs.len(), 1, "the recording has {} runs", self.runs.len());
        self.file(0)
    }

    /// Presentation time of the first picture of each segment, by media sequence number, in the track's time base.
    ///
    /// # Panics
    /// When a segment does not begin with a key frame.
    #[track_caller]
    pub fn first_pictures(&self) -> BTreeMap<u64, i64> {
        let numbers = self.runs.iter().flat_map(|(_, segments)| segments).filter(|s| !s.gap).map(|s| s.number);
        let first = |number: u64| {
            let packets = look::packets(&self.segment_file(number), "v");
            let key = packets.first().filter(|packet| packet.key).copied();
            key.unwrap_or_else(|| panic!("segment {number} does not begin with a key frame: {packets:?}")).pts
        };
        numbers.map(|number| (number, first(number))).collect()
    }

    /// One segment with its init in front, playable by itself.
    pub fn segment_file(&self, number: u64) -> String {
        self.dir.path().join(format!("segment-{number}.mp4")).display().to_string()
    }

    fn file(&self, index: usize) -> String {
        self.dir.path().join(format!("run-{index}.mp4")).display().to_string()
    }

    /// Fetches one listed segment, and its init when that is a new one.
    #[track_caller]
    pub(crate) fn add(&mut self, server: &Server, path: &str, segment: hls::Segment) {
        let fetch = |uri: &str| {
            let answer = server.get(&hls::resolve(path, uri));
            assert_eq!(
                answer.status,
                200,
                "{uri} is listed by {path} but answers {}: {}",
                answer.status,
                answer.text()
            );
            answer.body
        };
        if self.runs.last().is_none_or(|(map, _)| *map != segment.map || segment.discontinuity) {
            self.runs.push((segment.map.clone(), Vec::new()));
            self.init = if segment.map.is_empty() { Vec::new() } else { fetch(&segment.map) };
            std::fs::write(self.file(self.runs.len() - 1), &self.init).expect("a temporary folder can be written");
        }
        let body = if segment.gap { Vec::new() } else { fetch(&segment.uri) };
        let file = self.file(self.runs.len() - 1);
        let mut file = std::fs::OpenOptions::new().append(true).open(file).expect("the file was made above");
        std::io::Write::write_all(&mut file, &body).expect("a temporary folder can be written");
        let alone = [self.init.as_slice(), &body].concat();
        std::fs::write(self.segment_file(segment.number), alone).expect("a temporary folder can be written");
        self.runs.last_mut().expect("pushed above").1.push(segment);
    }
}
