use super::*;
use crate::{encode, plugins};
use gstreamer_video::{VideoFormat, VideoInfo};
use media::wire::EncoderChoice;
use media::{ColorInfo, Rung, h264};
use std::sync::mpsc::sync_channel;

const RATE: FrameRate = FrameRate { num: 30, den: 1 };
const START: MediaTime = MediaTime::from_millis(10_000);

fn start_gstreamer() {
    plugins::load(&plugins::folder().expect("GStreamer is installed"), false).expect("GStreamer starts");
}

fn picture(n: i64) -> Picture {
    let info =
        VideoInfo::builder(VideoFormat::I420, 320, 180).fps(gst::Fraction::new(30, 1)).build().expect("a picture");
    Picture::decoded(gst::Buffer::from_mut_slice(vec![(n * 3 % 200 + 20) as u8; info.size()]), info)
}

/// Plays `count` pictures with a boundary each second through the stage and gives what came out.
fn play(recipes: Vec<Recipe>, count: i64) -> Vec<FromWorker> {
    start_gstreamer();
    let (outbox, answers) = Outbox::pair();
    let rung = Rung { name: "90p".to_owned(), width: 160, height: 90, frame_rate: RATE, bitrate_bps: 200_000 };
    let counters = Arc::new(Counters::default());
    let stage = Stage {
        rate: RATE,
        rungs: vec![RungSetup { rung, from: None }],
        thumb_every: MediaTime::ZERO,
        recipes,
        outbox,
        counters,
    };
    let (items, queue) = sync_channel(4);
    let worker = std::thread::spawn(move || stage.run(&queue));
    let reader = std::thread::spawn(move || answers.into_iter().collect::<Vec<_>>());
    for n in 0..count {
        let pts = START + RATE.time_of(n);
        if n % 30 == 0 {
            items.send(Item::Boundary(pts)).expect("a running stage");
        }
        items.send(Item::Seen { pts, captions: Vec::new() }).expect("a running stage");
        items.send(Item::Picture { pts, picture: picture(n) }).expect("a running stage");
    }
    let (done, flushed) = sync_channel(1);
    items.send(Item::Flush(done)).expect("a running stage");
    flushed.recv().expect("a flushed stage");
    drop(items);
    worker.join().expect("no panic").expect("a stage that worked");
    reader.join().expect("no panic")
}

fn pictures(answers: &[FromWorker]) -> Vec<(MediaTime, bool)> {
    answers
        .iter()
        .filter_map(|answer| match answer {
            FromWorker::Picture { pts, sync, data, .. } => {
                assert_eq!(*sync, h264::is_idr(data, 4));
                Some((*pts, *sync))
            }
            _ => None,
        })
        .collect()
}

#[test]
fn another_encoder_takes_over_in_the_middle() {
    // An encoder that gives up after 44 pictures.
    let failing = "appsrc name=in format=time block=true max-buffers=3 max-bytes=0 max-time=0 ! identity error-after=45 \
        ! {element} name=encoder ! h264parse ! video/x-h264,stream-format=avc,alignment=au \
        ! appsink name=out sync=false max-buffers=8 enable-last-sample=false wait-on-eos=false";
    start_gstreamer();
    let answers =
        play(vec![Recipe { graph: failing, element: "openh264enc".to_owned() }, Recipe::of("openh264enc")], 90);
    let configs = answers.iter().filter(|a| matches!(a, FromWorker::RungConfig { .. })).count();
    assert_eq!(configs, 2, "each encoder tells its parameter sets");
    let out = pictures(&answers);
    let want: Vec<MediaTime> = (0..90).map(|n| START + RATE.time_of(n)).collect();
    assert_eq!(out.iter().map(|(pts, _)| *pts).collect::<Vec<_>>(), want, "no picture is lost or doubled");
    let idrs: Vec<i64> = out.iter().filter(|(_, sync)| *sync).map(|(pts, _)| RATE.frames_in(*pts - START)).collect();
    assert_eq!(idrs.len(), 4, "one where the second encoder begins: {idrs:?}");
    assert!([0, 30, 60].iter().all(|n| idrs.contains(n)), "{idrs:?}");
}

#[test]
fn x264_gives_way_to_openh264() {
    let broken = "appsrc name=in format=time block=true max-buffers=3 max-bytes=0 max-time=0 ! identity error-after=50 \
        ! {element} name=encoder speed-preset=veryfast key-int-max=100000 option-string=scenecut=0 ! video/x-h264,stream-format=avc,alignment=au \
        ! appsink name=out sync=false max-buffers=8 enable-last-sample=false wait-on-eos=false";
    start_gstreamer();
    let answers = play(vec![Recipe { graph: broken, element: "x264enc".to_owned() }, Recipe::of("openh264enc")], 120);
    let out = pictures(&answers);
    let last = out.last().map(|(pts, _)| RATE.frames_in(*pts - START));
    assert_eq!(last, Some(119));
    assert!(out.iter().any(|(pts, sync)| *sync && *pts == START + RATE.time_of(90)));
    // x264 holds about half a second when it dies; that is not kept twice in memory for a thing that never happens.
    assert!(out.len() > 90, "{} of 120 pictures", out.len());
}

#[test]
fn encoders_prove_themselves() {
    start_gstreamer();
    encode::trial(&Recipe::of("openh264enc")).expect("openh264enc keeps its promises");
    encode::trial(&Recipe::of("x264enc")).expect("x264enc keeps its promises");
    assert!(encode::trial(&Recipe::of("nosuchenc")).is_err());
    assert_eq!(Recipe::candidates(&EncoderChoice::OpenH264).first().map(|r| r.element.as_str()), Some("openh264enc"));
    assert_eq!(Recipe::candidates(&EncoderChoice::X264).last().map(|r| r.element.as_str()), Some("openh264enc"));
}

#[test]
fn colour_goes_along_to_small_rungs() {
    start_gstreamer();
    let rung = Rung { name: "180p".to_owned(), width: 320, height: 180, frame_rate: RATE, bitrate_bps: 200_000 };
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&seen);
    let info = encode::raw_info(&rung, RATE, ColorInfo::UNSPECIFIED, 720).expect("a picture");
    let encoder = Encoder::start(&Recipe::of("x264enc"), &rung, &info, move |encoded| {
        if let Encoded::Config(record) = encoded {
            sink.lock().expect("no panic").push(record);
        }
    })
    .expect("x264");
    for n in 0..5 {
        let stamp = Stamp { pts: START + RATE.time_of(n), frame_time: RATE.time_of(1), idr: false };
        encoder.push(stamp.on(&gst::Buffer::from_mut_slice(vec![100u8; info.size()])));
    }
    encoder.drain();
    let record = seen.lock().expect("no panic")[0].clone();
    let config = h264::parse_config(&record).expect("a record");
    assert_eq!(config.color, ColorInfo { primaries: 1, transfer: 1, matrix: 1, full_range: false });
    assert_eq!((config.width, config.height, config.frame_rate), (320, 180, Some(30.0)));
}

#[test]
fn pictures_behind_a_pause_are_decoded_behind_it() {
    start_gstreamer();
    let rung = Rung { name: "180p".to_owned(), width: 320, height: 180, frame_rate: RATE, bitrate_bps: 200_000 };
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&seen);
    let info = encode::raw_info(&rung, RATE, ColorInfo::UNSPECIFIED, 180).expect("a picture");
    let encoder = Encoder::start(&Recipe::of("x264enc"), &rung, &info, move |encoded| {
        if let Encoded::Unit { pts, dts, sync, .. } = encoded {
            sink.lock().expect("no panic").push((pts, dts, sync));
        }
    })
    .expect("x264");
    let back = START + MediaTime::from_millis(12_000);
    for n in 0..120 {
        let pts = if n < 60 { START + RATE.time_of(n) } else { back + RATE.time_of(n - 60) };
        let stamp = Stamp { pts, frame_time: RATE.time_of(1), idr: n == 60 };
        encoder.push(stamp.on(&gst::Buffer::from_mut_slice(vec![(60 + n) as u8; info.size()])));
    }
    encoder.drain();
    let units = std::mem::take(&mut *seen.lock().expect("no panic"));
    assert_eq!(units.len(), 120);
    assert!(units.iter().any(|(pts, dts, _)| pts > dts), "it reorders: {units:?}");
    let idr = units.iter().position(|unit| unit.2 && unit.0 == back).expect("an IDR where it goes on");
    for run in [&units[..idr], &units[idr..]] {
        let steps: Vec<i64> = run.windows(2).map(|pair| (pair[1].1 - pair[0].1).ticks()).collect();
        let frame = RATE.time_of(1).ticks();
        assert!(steps.iter().all(|step| (frame - 1..=frame + 1).contains(step)), "{steps:?}");
        assert_eq!(run[0].0 - run[0].1, units[0].0 - units[0].1, "as far before its presentation as the very first");
    }
}
