//! MPEG-TS (ISO/IEC 13818-1) of one segment, made from the access units in it when it is asked for.
//!
//! Continuity counters start at 0 in each segment and end at 15, as every PID's packets are a multiple of 16: PAT and PMT
//! are sent 16 times, spread over the segment, and a few packets of a stream's first PES packet are split. So any two
//! segments join without an error though none knows how many packets the one before had.

use bytes::Bytes;
use media::{AccessUnit, AudioConfig, Config, MediaTime, VideoCodec, VideoConfig, aac, h264, nal};

const PACKET: usize = 188;
const PID_PMT: u16 = 0x100;
const PID_VIDEO: u16 = 0x101;
const PID_AUDIO: u16 = 0x102;
/// The counter has four bits.
const CONTINUITY: usize = 16;
/// Decode times are spread evenly over the segment, as players of MPEG-TS take frame times from them, and moved back by
/// more than any usual reordering (7 frames at 24 frames per second), so that none is after its presentation time.
const DECODE_EARLY: i64 = 27_000;
/// The clock runs this far before the decode times.
const PCR_EARLY: i64 = 9_000;
/// Audio frames in one PES packet: an eighth of a second, to save headers and stuffing.
const AUDIO_GROUP: usize = 6;
/// NAL unit type of the access unit delimiter (ITU-T H.264, 7.4.1).
const NAL_AUD: u8 = 9;

/// One PES packet and where it goes.
struct Pes {
    pid: u16,
    decode_time: i64,
    sync: bool,
    data: Vec<u8>,
}

/// Muxes a segment of pictures, which is `length` long, with the sound of the same number; either may be missing. It takes about 1 ms
/// per megabyte and copies the payload once into the answer. `None` when the pictures are not H.264, and when there is nothing.
///
/// All of a segment's pictures must share one configuration, and so must its sound, as segments of a [`crate::Window`] or a recording
/// do. Times are those of the units; decode times of pictures are made anew.
pub fn transport_stream(pictures: &[AccessUnit], sound: &[AccessUnit], length: MediaTime) -> Option<Bytes> {
    let mut packets = Vec::new();
    if let Some(first) = pictures.first() {
        match &first.config {
            Config::Video(config) if config.codec == VideoCodec::H264 => {
                put_pictures(pictures, config, length, &mut packets)
            }
            Config::Video(_) | Config::Audio(_) => return None,
        }
    }
    if let Some(AccessUnit { config: Config::Audio(config), .. }) = sound.first() {
        put_sound(sound, config, &mut packets);
    }
    if packets.is_empty() {
        return None;
    }
    packets.sort_by_key(|p| p.decode_time);
    Some(write(&packets, !pictures.is_empty(), !sound.is_empty()))
}

fn put_pictures(pictures: &[AccessUnit], config: &VideoConfig, length: MediaTime, out: &mut Vec<Pes>) {
    let Ok(sets) = h264::parameter_sets(&config.record) else { return };
    for (picture, decode_time) in pictures.iter().zip(decode_times(pictures, length)) {
        let shown = picture.pts.ticks();
        let mut data = Vec::with_capacity(picture.data.len() + 128);
        pes_header(&mut data, 0xe0, shown, Some(decode_time), 0);
        data.extend([0, 0, 0, 1, NAL_AUD, 0xf0]);
        if picture.sync {
            sets.sps.iter().chain(&sets.pps).for_each(|set| annex_b(&mut data, set));
        }
        let units = nal::units(&picture.data, config.nal_length_size).map_while(Result::ok);
        units.filter(|n| h264::nal_type(n) != NAL_AUD).for_each(|n| annex_b(&mut data, &n));
        out.push(Pes { pid: PID_VIDEO, decode_time, sync: picture.sync, data });
    }
}

/// Spread evenly over the segment, as far as that is possible: none is after its own presentation time, and they never fall.
fn decode_times(pictures: &[AccessUnit], length: MediaTime) -> Vec<i64> {
    let first = pictures.first().map_or(0, |picture| picture.pts.ticks());
    let even = |index: usize| first + length.ticks() * index as i64 / pictures.len() as i64 - DECODE_EARLY;
    let mut times: Vec<i64> =
        pictures.iter().enumerate().map(|(index, picture)| even(index).min(picture.pts.ticks())).collect();
    // Where pictures are missing, the even times run past the real ones.
    for at in (1..times.len()).rev() {
        times[at - 1] = times[at - 1].min(times[at]);
    }
    times
}

fn annex_b(out: &mut Vec<u8>, nal: &[u8]) {
    out.extend([0, 0, 0, 1]);
    out.extend_from_slice(nal);
}

fn put_sound(frames: &[AccessUnit], config: &AudioConfig, out: &mut Vec<Pes>) {
    for group in frames.chunks(AUDIO_GROUP) {
        let pts = group[0].pts.ticks();
        let mut payload = Vec::new();
        for frame in group {
            let Some(header) = aac::adts_header(config, frame.data.len()) else { continue };
            payload.extend(header);
            payload.extend_from_slice(&frame.data);
        }
        let mut data = Vec::with_capacity(payload.len() + 14);
        pes_header(&mut data, 0xc0, pts, None, payload.len());
        data.extend(payload);
        out.push(Pes { pid: PID_AUDIO, decode_time: pts - DECODE_EARLY, sync: true, data });
    }
}

/// 2.4.3.6. A `size` of 0 leaves the length open, which only video may.
fn pes_header(out: &mut Vec<u8>, stream: u8, pts: i64, dts: Option<i64>, size: usize) {
    let stamps = if dts.is_some() { 10 } else { 5 };
    let length = if size == 0 { 0 } else { u16::try_from(size + 3 + stamps).unwrap_or(0) };
    out.extend([0, 0, 1, stream]);
    out.extend(length.to_be_bytes());
    // Aligned data, as each packet begins with a whole unit.
    out.extend([0x84, if dts.is_some() { 0xc0 } else { 0x80 }, stamps as u8]);
    stamp(out, if dts.is_some() { 3 } else { 2 }, pts);
    if let Some(dts) = dts {
        stamp(out, 1, dts);
    }
}

/// 33 bits in five bytes, with marker bits.
fn stamp(out: &mut Vec<u8>, prefix: u8, time: i64) {
    let time = time as u64 & 0x1_ffff_ffff;
    out.push(prefix << 4 | (time >> 29) as u8 & 0xe | 1);
    out.extend((((time >> 14) as u16 & 0xfffe) | 1).to_be_bytes());
    out.extend((((time << 1) as u16 & 0xfffe) | 1).to_be_bytes());
}

/// The packet writer of one segment.
struct Writer {
    out: Vec<u8>,
    counters: [u8; 4],
}

fn write(packets: &[Pes], has_video: bool, has_audio: bool) -> Bytes {
    let size: usize = packets.iter().map(|p| (p.data.len() / 184 + 2) * PACKET).sum();
    let mut writer = Writer { out: Vec::with_capacity(size + 2 * CONTINUITY * (PACKET + 1)), counters: [0; 4] };
    let pat = section(0, 0, &[0, 1, 0xe0 | (PID_PMT >> 8) as u8, PID_PMT as u8]);
    let pmt = pmt(has_video, has_audio);
    let clock = if has_video { PID_VIDEO } else { PID_AUDIO };
    // One spare per stream decides how many packets of it are split, so that their number is a multiple of 16.
    let spare = |pid| {
        let count: usize = packets.iter().filter(|p| p.pid == pid).map(|p| chunks(p, p.pid == clock, 0).len()).sum();
        (CONTINUITY - count % CONTINUITY) % CONTINUITY
    };
    let mut spares = [(PID_VIDEO, spare(PID_VIDEO)), (PID_AUDIO, spare(PID_AUDIO))];
    let mut tables = 0;
    for (index, pes) in packets.iter().enumerate() {
        while tables < CONTINUITY && tables * packets.len() <= index * CONTINUITY {
            writer.table(0, &pat);
            writer.table(PID_PMT, &pmt);
            tables += 1;
        }
        let extra = spares.iter_mut().find(|s| s.0 == pes.pid).map_or(0, |s| std::mem::take(&mut s.1));
        writer.pes(pes, pes.pid == clock, extra);
    }
    for _ in tables..CONTINUITY {
        writer.table(0, &pat);
        writer.table(PID_PMT, &pmt);
    }
    writer.out.into()
}

/// Bytes of a PES packet in each of its transport packets, with `extra` packets more than are needed.
fn chunks(pes: &Pes, clock: bool, extra: usize) -> Vec<usize> {
    let first = 184 - if clock { 8 } else { 2 };
    let mut left = pes.data.len();
    let mut out = vec![left.min(first)];
    left -= out[0];
    while left > 0 {
        out.push(left.min(184));
        left -= left.min(184);
    }
    // The last chunks are taken apart into single bytes and a rest.
    let (mut taken, mut bytes) = (0, 0);
    while extra > 0 && bytes < taken + extra {
        let Some(chunk) = out.pop() else { break };
        bytes += chunk;
        taken += 1;
    }
    if extra > 0 && bytes >= taken + extra {
        let singles = taken + extra - 1;
        out.extend(std::iter::repeat_n(1, singles));
        out.push(bytes - singles);
    }
    out
}

impl Writer {
    fn pes(&mut self, pes: &Pes, clock: bool, extra: usize) {
        let mut at = 0;
        for (index, size) in chunks(pes, clock, extra).into_iter().enumerate() {
            let mut adaptation = Vec::new();
            if index == 0 {
                adaptation.push(if pes.sync { 0x40 } else { 0 } | if clock { 0x10 } else { 0 });
                if clock {
                    // 33 bits of 90 kHz, six reserved ones, nine bits of 27 MHz that are zero.
                    let pcr = (pes.decode_time - PCR_EARLY) as u64 & 0x1_ffff_ffff;
                    adaptation.extend(((pcr >> 1) as u32).to_be_bytes());
                    adaptation.extend([(pcr as u8) << 7 | 0x7e, 0]);
                }
            }
            self.packet(pes.pid, index == 0, &adaptation, &pes.data[at..at + size]);
            at += size;
        }
    }

    fn table(&mut self, pid: u16, section: &[u8]) {
        let mut payload = vec![0];
        payload.extend_from_slice(section);
        payload.resize(184, 0xff);
        self.packet(pid, true, &[], &payload);
    }

    /// `adaptation` is the field's content without its length; stuffing fills what `payload` leaves.
    fn packet(&mut self, pid: u16, start: bool, adaptation: &[u8], payload: &[u8]) {
        let counter = match pid {
            0 => 0,
            PID_PMT => 1,
            PID_VIDEO => 2,
            _ => 3,
        };
        let has_adaptation = !adaptation.is_empty() || payload.len() < 184;
        let count = self.counters[counter];
        self.counters[counter] = (count + 1) & 15;
        self.out.extend([
            0x47,
            if start { 0x40 } else { 0 } | (pid >> 8) as u8,
            pid as u8,
            if has_adaptation { 0x30 } else { 0x10 } | count,
        ]);
        if has_adaptation {
            let length = 183 - payload.len();
            self.out.push(length as u8);
            let filled = self.out.len() + length;
            if length > 0 {
                self.out.extend_from_slice(if adaptation.is_empty() { &[0] } else { adaptation });
            }
            self.out.resize(filled, 0xff);
        }
        self.out.extend_from_slice(payload);
    }
}

fn pmt(has_video: bool, has_audio: bool) -> Vec<u8> {
    let clock = if has_video { PID_VIDEO } else { PID_AUDIO };
    let mut body = vec![0xe0 | (clock >> 8) as u8, clock as u8, 0xf0, 0];
    let streams = [(has_video, 0x1b, PID_VIDEO), (has_audio, 0x0f, PID_AUDIO)];
    for (_, kind, pid) in streams.into_iter().filter(|s| s.0) {
        body.extend([kind, 0xe0 | (pid >> 8) as u8, pid as u8, 0xf0, 0]);
    }
    // Another one where there are other streams than before, or receivers take it for the one they have.
    section(2, u8::from(has_video) | u8::from(has_audio) << 1, &body)
}

/// A program-specific section of table `id` in a version below 32 for stream or program 1 (2.4.4), with its check sum.
fn section(id: u8, version: u8, body: &[u8]) -> Vec<u8> {
    let length = body.len() as u8 + 9;
    let mut out = vec![id, 0xb0, length, 0, 1, 0xc1 | version << 1, 0, 0];
    out.extend_from_slice(body);
    out.extend(crc(&out).to_be_bytes());
    out
}

/// CRC-32/MPEG-2 (annex A). Sections are a few bytes, so a table would not pay.
fn crc(data: &[u8]) -> u32 {
    data.iter().fold(u32::MAX, |crc, byte| {
        (0..8)
            .fold(crc ^ u32::from(*byte) << 24, |crc, _| if crc >> 31 == 1 { crc << 1 ^ 0x04c1_1db7 } else { crc << 1 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_check_sum_is_that_of_the_standard() {
        assert_eq!(crc(b"123456789"), 0x0376_e6e7);
    }

    /// Pictures that are shown at these ticks, in decode order.
    fn shown(ticks: &[i64]) -> Vec<AccessUnit> {
        let record = Bytes::from_static(&[
            1, 0x64, 0, 0x1f, 0xff, 0xe1, 0, 26, 0x67, 0x64, 0, 0x1f, 0xac, 0xd9, 0x40, 0x50, 5, 0xbb, 1, 0x10, 0, 0,
            3, 0, 0x10, 0, 0, 3, 3, 0xc0, 0xf1, 0x83, 0x19, 0x60, 1, 0, 6, 0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0, 0xfd,
            0xf8, 0xf8, 0,
        ]);
        let config = Config::Video(std::sync::Arc::new(h264::parse_config(&record).expect("a record of x264's")));
        let unit = |(at, pts): (usize, &i64)| {
            let pts = MediaTime::from_ticks(*pts);
            AccessUnit {
                config: config.clone(),
                dts: pts,
                pts,
                sync: at == 0,
                data: Bytes::from_static(&[0, 0, 0, 1, 9]),
            }
        };
        ticks.iter().enumerate().map(unit).collect()
    }

    #[test]
    fn pictures_keep_their_order_where_some_are_missing() {
        // I P b b P b b … at 30 pictures a second, without the last half of the two seconds.
        let order = (0..15).flat_map(|group| [3, 1, 2].map(|at| (3 * group + at) * 3_000));
        let pictures = shown(&std::iter::once(0).chain(order).take(30).collect::<Vec<_>>());
        let times = decode_times(&pictures, MediaTime::from_millis(2_000));
        assert!(times.is_sorted() && times[0] == -DECODE_EARLY, "{times:?}");
        assert!(times.iter().zip(&pictures).all(|(time, picture)| *time <= picture.pts.ticks()));
    }

    #[test]
    fn a_program_with_other_streams_has_another_version() {
        let version = |has_video, has_audio| pmt(has_video, has_audio)[5];
        assert!(version(true, false) != version(true, true) && version(false, true) != version(true, true));
    }

    proptest! {
        #[test]
        fn decode_times_never_fall_and_are_never_late(shown_ms in proptest::collection::vec(0i64..20_000, 1..60)) {
            let mut ticks: Vec<i64> = shown_ms.iter().map(|ms| ms * 90).collect();
            ticks[0] = 0;
            let pictures = shown(&ticks);
            let times = decode_times(&pictures, MediaTime::from_millis(20_000));
            prop_assert!(times.is_sorted());
            prop_assert!(times.iter().zip(&pictures).all(|(time, picture)| *time <= picture.pts.ticks()));
        }

        #[test]
        fn splitting_makes_exactly_so_many_packets_more(size in 16usize..2000, clock: bool, extra in 0usize..16) {
            let pes = Pes { pid: PID_VIDEO, decode_time: 0, sync: false, data: vec![0; size] };
            let (plain, split) = (chunks(&pes, clock, 0), chunks(&pes, clock, extra));
            prop_assert_eq!(split.len(), plain.len() + extra);
            prop_assert_eq!(split.iter().sum::<usize>(), size);
            prop_assert!(split.iter().all(|c| (1..=184).contains(c)) && split[0] <= plain[0]);
        }
    }
}
