use media::MediaTime;
use std::collections::VecDeque;

/// Measures a rendition's bit rate as HLS defines it (rfc8216bis, 4.1 "peak segment bit rate"): the largest over any run of
/// contiguous segments whose total lasts 0.5 to 1.5 target durations.
#[derive(Debug)]
pub(crate) struct Meter {
    target: MediaTime,
    recent: VecDeque<(usize, MediaTime)>,
    peak_bps: f64,
    bytes: u64,
    length: MediaTime,
}

impl Meter {
    pub fn new(target: MediaTime) -> Self {
        Self { target, recent: VecDeque::new(), peak_bps: 0.0, bytes: 0, length: MediaTime::ZERO }
    }

    /// Takes a closed segment into account; a gap ends the run.
    pub fn segment(&mut self, bytes: usize, duration: MediaTime, gap: bool) {
        if gap {
            self.recent.clear();
            return;
        }
        self.bytes += bytes as u64;
        self.length += duration;
        self.recent.push_back((bytes, duration));
        let longest = MediaTime::from_ticks(self.target.ticks() * 3 / 2);
        let shortest = MediaTime::from_ticks(self.target.ticks() / 2);
        let (mut bytes, mut length, mut used) = (0, MediaTime::ZERO, 0);
        for (size, duration) in self.recent.iter().rev() {
            bytes += size;
            length += *duration;
            if length > longest {
                break;
            }
            used += 1;
            if length >= shortest {
                self.peak_bps = self.peak_bps.max(bytes as f64 * 8.0 / length.as_secs_f64());
            }
        }
        self.recent.drain(..self.recent.len() - used.max(1));
    }

    /// The largest seen so far, bits per second; 0 before the first segment.
    pub fn peak_bps(&self) -> f64 {
        self.peak_bps
    }

    /// Over everything seen so far, bits per second; 0 before the first segment.
    pub fn average_bps(&self) -> f64 {
        if self.length > MediaTime::ZERO { self.bytes as f64 * 8.0 / self.length.as_secs_f64() } else { 0.0 }
    }

    /// How much was measured.
    pub fn length(&self) -> MediaTime {
        self.length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_that_of_runs_of_about_a_target() {
        let mut meter = Meter::new(MediaTime::from_millis(2000));
        let second = MediaTime::from_millis(1000);
        for bytes in [1000, 1000, 4000, 1000] {
            meter.segment(bytes, second, false);
        }
        assert_eq!(meter.peak_bps(), 32_000.0);
        assert_eq!(meter.average_bps(), 14_000.0);
    }

    #[test]
    fn short_segments_count_only_together() {
        let mut meter = Meter::new(MediaTime::from_millis(4000));
        let second = MediaTime::from_millis(1000);
        meter.segment(1000, second, false);
        assert_eq!(meter.peak_bps(), 0.0);
        meter.segment(3000, second, false);
        assert_eq!(meter.peak_bps(), 16_000.0);
    }
}
