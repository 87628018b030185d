use crate::Random;

/// What is played: a source and what befalls it. Made from the seed alone.
#[derive(Debug, Clone)]
pub struct Script {
    /// How long, in virtual milliseconds.
    pub lasts_ms: u64,
    /// Pictures a second as a fraction; `None` without video.
    pub video: Option<Video>,
    /// Samples a second of the sound; `None` without audio.
    pub audio_hz: Option<u32>,
    /// The metadata names both tracks, whether they come or not.
    pub announces_both: bool,
    /// The first stamp.
    pub first_stamp: u32,
    /// Encoders that keep only 24 bits of their stamps.
    pub is_24_bit: bool,
    /// Media that is older than the connection, sent at once, in milliseconds.
    pub backlog_ms: i64,
    /// The mean delay of the network, in milliseconds.
    pub delay_ms: u64,
    /// How much that varies.
    pub jitter_ms: u64,
    /// EXT-X-TARGETDURATION.
    pub target_s: u8,
    /// What goes wrong, in order.
    pub faults: Vec<Fault>,
    /// When the publisher, or the server, is another one, in order.
    pub turns: Vec<Turn>,
}

/// A publisher goes, and one comes.
#[derive(Debug, Clone, Copy)]
pub struct Turn {
    /// When the first one goes, in virtual milliseconds.
    pub at_ms: u64,
    /// How long until the next one connects; how long the server is down, before that, when it is the server.
    pub away_ms: u64,
    /// How it goes.
    pub parting: Parting,
    /// The next one has another encoder configuration.
    pub is_other: bool,
}

/// How a publisher goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parting {
    /// Its connection is closed; what is on the way arrives.
    Closed,
    /// Its connection is reset; what is on the way is lost.
    Reset,
    /// It falls silent, and its connection stays.
    Mute,
    /// It goes on until the next one is there.
    Takeover,
    /// The server dies, and everything in it.
    Restart,
}

/// The pictures of a source.
#[derive(Debug, Clone, Copy)]
pub struct Video {
    /// Pictures a second: numerator.
    pub fps: (u32, u32),
    /// Pictures from a key frame to the next.
    pub gop: u32,
    /// There is a B-frame before each P-frame.
    pub reorders: bool,
}

/// One thing that goes wrong.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    /// When it begins, in virtual milliseconds.
    pub at_ms: u64,
    /// How long it lasts; some are over at once.
    pub lasts_ms: u64,
    /// What it is.
    pub kind: Trouble,
}

/// What can go wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Trouble {
    /// All stamps move by milliseconds.
    Jump(i64),
    /// The sound's stamps move by milliseconds.
    Skew(i64),
    /// All stamps are the same.
    Freeze,
    /// Stamps run at so many per mille of time.
    Drift(i64),
    /// The encoder makes nothing, and its clock goes on.
    Pause,
    /// The network carries nothing; it comes later at once.
    Stall,
    /// The network carries so many per cent of what is sent; what waits for it comes at once when that is over.
    Congestion(u64),
    /// So many of a hundred pictures are left out.
    Loss(u64),
    /// No sound.
    NoAudio,
    /// No picture.
    NoVideo,
    /// No key frames.
    NoKeyframes,
    /// Another encoder configuration from here on.
    NewConfig,
    /// The configuration comes again.
    SameConfig,
    /// Composition offsets are anything.
    OddComposition,
    /// Bytes of media are changed, now and then.
    Damage,
    /// Bytes of the connection are changed.
    Garbage,
}

impl Script {
    /// The script of a seed.
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let has = random.range(0, 10);
        let fps = random.pick(&[(30, 1), (30, 1), (25, 1), (60, 1), (24_000, 1001), (15, 1), (120, 1), (1, 1), (5, 1)]);
        let second = (fps.0 / fps.1).max(1);
        let gop = match random.range(0, 12) {
            0 => second * 60,
            1 => second * 8,
            2 => second * 4,
            3 => (second / 2).max(1),
            4 => 1,
            5 => random.range(1, 250) as u32,
            6..=8 => second,
            _ => second * 2,
        };
        let video = (has > 0).then(|| Video { fps, gop, reorders: random.percent(50) });
        let lasts_ms = random.range(15_000, 60_000) as u64;
        let first_stamp = match random.range(0, 6) {
            0 => u32::MAX - random.range(0, 30_000) as u32,
            1 => (1 << 24) - random.range(1, 30_000) as u32,
            2 => (1 << 31) - random.range(0, 30_000) as u32,
            3 => random.bits() as u32,
            _ => 0,
        };
        let count = random.pick(&[0, 0, 1, 1, 2, 3, 6]);
        let mut faults: Vec<_> = (0..count).map(|_| fault(&mut random, lasts_ms)).collect();
        faults.sort_by_key(|fault| fault.at_ms);
        // Dice of their own, so that a seed's faults are what they were before there were turns.
        let mut dice = Random::new(seed ^ 0x7475_726e);
        let count = dice.pick(&[0, 0, 1, 2, 3]);
        let mut turns: Vec<_> = (0..count).map(|_| turn(&mut dice, lasts_ms)).collect();
        turns.sort_by_key(|turn| turn.at_ms);
        Self {
            lasts_ms,
            video,
            audio_hz: (has != 1).then(|| random.pick(&[48_000, 48_000, 44_100, 22_050, 32_000])),
            announces_both: random.percent(30),
            first_stamp,
            is_24_bit: random.percent(10),
            backlog_ms: random.pick(&[0, 0, 0, 0, 500, 1_500, 5_000, 20_000]),
            delay_ms: random.range(1, 200) as u64,
            jitter_ms: random.pick(&[0, 5, 30, 100, 400]),
            target_s: random.pick(&[2, 4]),
            faults,
            turns,
        }
    }

    /// Its pictures can be passed on as they are: groups of two seconds at most.
    pub fn is_plain(&self) -> bool {
        self.video.is_none_or(|v| v.gop * v.fps.1 <= 2 * v.fps.0)
    }

    /// Nothing goes wrong but what is the network's, and the publisher stays.
    pub fn is_healthy(&self) -> bool {
        self.turns.is_empty() && self.is_untroubled()
    }

    /// Nothing goes wrong while a publisher is there.
    pub fn is_untroubled(&self) -> bool {
        self.faults.is_empty() && self.backlog_ms <= 1_500
    }
}

fn turn(random: &mut Random, lasts_ms: u64) -> Turn {
    let partings = [Parting::Closed, Parting::Reset, Parting::Mute, Parting::Takeover, Parting::Restart];
    Turn {
        at_ms: random.range(3_000, lasts_ms as i64) as u64,
        away_ms: random.pick(&[0, 300, 1_500, 5_000, 12_000, 20_000]),
        parting: random.pick(&partings),
        is_other: random.percent(30),
    }
}

fn fault(random: &mut Random, lasts_ms: u64) -> Fault {
    let kind = match random.range(0, 19) {
        0 => Trouble::Jump(random.range(-60_000, 60_000)),
        1 => Trouble::Jump(random.range(-4_000, 4_000)),
        2 => Trouble::Jump(random.bits() as i32 as i64),
        3 => Trouble::Skew(random.range(-15_000, 15_000)),
        4 => Trouble::Freeze,
        5 => Trouble::Drift(random.range(800, 1_300)),
        6 => Trouble::Pause,
        7 | 8 => Trouble::Stall,
        9 => Trouble::Loss(random.range(1, 60) as u64),
        10 => Trouble::NoAudio,
        11 => Trouble::NoVideo,
        12 => Trouble::NoKeyframes,
        13 => Trouble::NewConfig,
        14 => Trouble::SameConfig,
        15 => Trouble::OddComposition,
        16 => Trouble::Damage,
        17 => Trouble::Congestion(random.range(70, 99) as u64),
        _ => Trouble::Garbage,
    };
    let long = random.range(500, lasts_ms as i64) as u64;
    let lasts = random.pick(&[300, 1_000, 2_600, 5_000, 12_000, long]);
    Fault { at_ms: random.range(0, lasts_ms as i64) as u64, lasts_ms: lasts, kind }
}
