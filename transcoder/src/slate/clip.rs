//! The [`Clip`]: one group of pictures that stands still, and what a worker must have said to make one.

use super::SlateError;
use bytes::{BufMut, Bytes, BytesMut};
use media::wire::FromWorker;
use media::{FrameRate, VideoConfig, h264, nal};
use std::sync::Arc;

/// Messages of one worker: two seconds at 240 fps, and a configuration.
pub(super) const ANSWERS_MAX: usize = 512;

/// One group of pictures that all show the same: an IDR and what repeats it, without reordering. Shown again and again it
/// is legal H.264: between two of its IDRs there is always another picture (ITU-T H.264, 7.4.3, idr_pic_id).
#[derive(Debug, Clone)]
pub struct Clip {
    pub(super) config: Arc<VideoConfig>,
    pub(super) rate: FrameRate,
    /// At least two, the first an IDR, no other.
    pub(super) pictures: Vec<Bytes>,
}

impl Clip {
    /// Coded size of one round, bytes.
    pub fn len(&self) -> usize {
        self.pictures.iter().map(Bytes::len).sum()
    }

    /// Never: there are two pictures at least.
    pub fn is_empty(&self) -> bool {
        self.pictures.is_empty()
    }
}

/// A unit with the parameter sets of `record` in front of it, of which lengths have four bytes.
///
/// libavformat (ffmpeg, mpv) and others keep the first init section of a rendition for good: measured, ffmpeg 5.1 decodes no
/// picture of a slate that has its sets there only. They are in it as well, as any player may start here.
fn with_sets(record: &Bytes, unit: &Bytes) -> Result<Bytes, SlateError> {
    let sets = h264::parameter_sets(record).map_err(|e| SlateError::Worker(e.to_string()))?;
    let mut data = BytesMut::with_capacity(unit.len() + record.len() + 8);
    for set in sets.sps.iter().chain(&sets.pps) {
        data.put_u32(set.len() as u32);
        data.put_slice(set);
    }
    data.put_slice(unit);
    Ok(data.freeze())
}

/// Takes what a worker says and believes none of it.
#[derive(Debug)]
pub(super) struct Builder {
    rate: FrameRate,
    size: (u32, u32),
    config: Option<Arc<VideoConfig>>,
    pictures: Vec<Bytes>,
}

impl Builder {
    pub(super) fn new(rate: FrameRate, size: (u32, u32)) -> Self {
        Self { rate, size, config: None, pictures: Vec::new() }
    }

    pub(super) fn take(&mut self, answer: FromWorker) -> Result<(), SlateError> {
        let broken = |what: &str| SlateError::Worker(what.to_owned());
        match answer {
            FromWorker::RungConfig { record, .. } => {
                let config = h264::parse_config(&record).map_err(|e| SlateError::Worker(e.to_string()))?;
                if (config.width, config.height) != self.size || config.nal_length_size != 4 || self.config.is_some() {
                    return Err(broken("its parameter sets don't fit"));
                }
                self.config = Some(Arc::new(config));
            }
            FromWorker::Picture { dts, pts, sync, data, .. } => {
                let at = self.rate.time_of(self.pictures.len() as i64);
                let is_whole = nal::units(&data, 4).all(|unit| unit.is_ok()) && sync == h264::is_idr(&data, 4);
                if !is_whole || pts != at || dts > pts || sync != self.pictures.is_empty() {
                    return Err(broken("its pictures are not one group that stands still"));
                }
                self.pictures.push(data);
            }
            _ => return Err(broken("it said what it was not asked")),
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Clip, SlateError> {
        let Self { rate, config, mut pictures, .. } = self;
        match config {
            Some(config) if pictures.len() >= 2 => {
                pictures[0] = with_sets(&config.record, &pictures[0])?;
                Ok(Clip { config, rate, pictures })
            }
            _ => Err(SlateError::Worker("it gave no pictures".to_owned())),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use media::MediaTime;

    pub(in super::super) const RATE: FrameRate = FrameRate { num: 30, den: 1 };
    const RECORD: &[u8] = &[
        1, 100, 0, 30, 255, 225, 0, 26, 103, 100, 0, 30, 172, 217, 64, 160, 47, 249, 112, 17, 0, 0, 3, 0, 1, 0, 0, 3,
        0, 60, 15, 22, 45, 150, 1, 0, 6, 104, 235, 227, 203, 34, 192, 253, 248, 248, 0,
    ];

    fn picture(slot: i64, sync: bool) -> FromWorker {
        let pts = RATE.time_of(slot);
        let data = Bytes::copy_from_slice(&[0, 0, 0, 2, if sync { 0x65 } else { 0x41 }, 0x88]);
        FromWorker::Picture { rung: 0, dts: pts - MediaTime::from_millis(1), pts, sync, data }
    }

    /// A clip of 640x360 with so many pictures.
    pub(in super::super) fn clip(pictures: i64) -> Clip {
        let mut builder = Builder::new(RATE, (640, 360));
        builder.take(FromWorker::RungConfig { rung: 0, record: Bytes::from_static(RECORD) }).expect("a record");
        (0..pictures).for_each(|k| builder.take(picture(k, k == 0)).expect("a picture"));
        builder.finish().expect("a clip")
    }

    #[test]
    fn its_idr_brings_its_parameter_sets() {
        let clip = clip(2);
        let kinds: Vec<u8> =
            nal::units(&clip.pictures[0], 4).map(|unit| h264::nal_type(&unit.expect("whole"))).collect();
        assert_eq!(kinds, [7, 8, 5]);
        assert_eq!(nal::units(&clip.pictures[1], 4).count(), 1);
    }

    #[test]
    fn what_is_no_still_group_is_refused() {
        let record = || FromWorker::RungConfig { rung: 0, record: Bytes::from_static(RECORD) };
        let refused = |size, answers: Vec<FromWorker>| {
            let mut builder = Builder::new(RATE, size);
            let taken: Result<Vec<()>, _> = answers.into_iter().map(|answer| builder.take(answer)).collect();
            taken.and_then(|_| builder.finish()).is_err()
        };
        let fits = (640, 360);
        assert!(!refused(fits, vec![record(), picture(0, true), picture(1, false)]));
        assert!(refused((1280, 720), vec![record(), picture(0, true), picture(1, false)]), "another size");
        assert!(refused(fits, vec![picture(0, true), picture(1, false)]), "no parameter sets");
        assert!(refused(fits, vec![record(), picture(0, true)]), "an IDR would follow an IDR");
        assert!(refused(fits, vec![record(), picture(0, true), picture(1, true)]), "two IDRs");
        assert!(refused(fits, vec![record(), picture(0, true), picture(2, false)]), "a hole");
        assert!(refused(fits, vec![record(), picture(0, false), picture(1, false)]), "no IDR");
        assert!(refused(fits, vec![record(), FromWorker::Thumb { data: Bytes::from_static(&[0xff, 0xd8, 1, 2]) }]));
    }
}
