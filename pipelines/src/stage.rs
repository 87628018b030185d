//! The thread between decoder and encoders: puts pictures on slots, scales them in cascade, hands them to the rungs, and
//! makes the thumbnail.

#[cfg(test)]
mod tests;

use crate::counters::Counters;
use crate::encode::{Encoded, Encoder, Recipe, Stamp, raw_info};
use crate::link::Outbox;
use crate::picture::{Picture, Scaler};
use crate::retimer::{Retimer, Slot};
use crate::thumb::{self, Thumbnailer};
use crate::{Error, link};
use bytes::Bytes;
use gstreamer as gst;
use media::wire::{FromWorker, RungSetup};
use media::{FrameRate, MediaTime, VideoConfig, captions};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Slots an encoder may hold; x264 holds about 20. More means that it lost some, and the oldest are forgotten.
const SLOTS_MAX: usize = 256;
/// Caption payloads that wait for a slot, by picture.
const CAPTIONS_MAX: usize = 256;

/// What comes to the stage, in order.
pub(crate) enum Item {
    /// The source's configuration; before the first picture made with it.
    Source(Box<VideoConfig>),
    /// A segment begins.
    Boundary(MediaTime),
    /// One more rung.
    AddRung(RungSetup),
    /// A rung's encoder stops; with `from` another begins there.
    Rung {
        /// Its index.
        rung: u8,
        /// The first picture wanted; `None` for none.
        from: Option<MediaTime>,
    },
    /// The input holds this unit, and it carries these captions.
    Seen {
        /// Its stamp.
        pts: MediaTime,
        /// Caption payloads.
        captions: Vec<Bytes>,
    },
    /// A decoded picture.
    Picture {
        /// Its stamp.
        pts: MediaTime,
        /// The pixels.
        picture: Picture,
    },
    /// A picture only for the thumbnail.
    Still(Picture),
    /// Everything must come out; then the sender is told.
    Flush(SyncSender<()>),
}

/// Everything the stage needs to begin.
pub(crate) struct Stage {
    pub rate: FrameRate,
    pub rungs: Vec<RungSetup>,
    pub thumb_every: MediaTime,
    /// At least one, best first.
    pub recipes: Vec<Recipe>,
    pub outbox: Outbox,
    pub counters: Arc<Counters>,
}

impl Stage {
    /// Works until the queue's senders are gone.
    ///
    /// # Errors
    /// When no encoder works any more or memory is out; the process should end.
    pub fn run(self, items: &Receiver<Item>) -> Result<(), Error> {
        let mut retimer = Retimer::new(self.rate);
        let mut lanes = Lanes::new(&self);
        for setup in self.rungs.clone() {
            lanes.add(setup);
        }
        let mut slots: Vec<Slot<Frame>> = Vec::new();
        let mut serial = 0;
        for item in items {
            let mut flushed = None;
            match item {
                Item::Source(config) => lanes.source = Some(*config),
                Item::Boundary(at) => retimer.boundary(at, &mut slots),
                Item::AddRung(setup) => lanes.add(setup),
                Item::Rung { rung, from } => lanes.restart(rung, from),
                Item::Seen { pts, captions } => {
                    lanes.note_captions(pts, captions);
                    retimer.seen(pts, &mut slots);
                }
                Item::Picture { pts, picture } => {
                    serial += 1;
                    retimer.picture(pts, Frame { pts, serial, picture }, &mut slots);
                }
                Item::Still(picture) => lanes.thumb(&picture),
                Item::Flush(done) => {
                    retimer.end(&mut slots);
                    flushed = Some(done);
                }
            }
            for slot in slots.drain(..) {
                lanes.show(&slot)?;
            }
            self.counters.repeated.store(retimer.repeated, Ordering::Relaxed);
            self.counters.dropped.store(retimer.dropped, Ordering::Relaxed);
            if let Some(done) = flushed {
                lanes.drain();
                let _waiting = done.send(());
            }
        }
        Ok(())
    }
}

/// A decoded picture with a number that tells it from others.
#[derive(Debug, Clone)]
struct Frame {
    pts: MediaTime,
    serial: u64,
    picture: Picture,
}

/// A slot inside an encoder.
struct Pending {
    captions: Vec<Bytes>,
    /// Kept to give it to another encoder when this one fails.
    picture: Option<gst::Buffer>,
}

type Slots = Arc<Mutex<BTreeMap<MediaTime, Pending>>>;

fn lock(slots: &Slots) -> MutexGuard<'_, BTreeMap<MediaTime, Pending>> {
    slots.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One rung at work.
struct Lane {
    index: u8,
    setup: RungSetup,
    /// Its encoder is stopped until the server says otherwise.
    rests: bool,
    scaler: Option<Scaler>,
    encoder: Option<Encoder>,
    /// Index into the recipes; moves on when an encoder fails.
    recipe: usize,
    failed: Arc<AtomicBool>,
    slots: Slots,
    /// The last picture and the number of its source.
    last: Option<(u64, Picture)>,
}

struct Lanes {
    lanes: Vec<Lane>,
    /// Lanes by falling size: each is scaled from the one before.
    cascade: Vec<usize>,
    source: Option<VideoConfig>,
    captions: BTreeMap<MediaTime, Vec<Bytes>>,
    recipes: Vec<Recipe>,
    rate: FrameRate,
    thumb_every: MediaTime,
    last_thumb: Option<MediaTime>,
    thumbnailer: Option<Thumbnailer>,
    outbox: Outbox,
    counters: Arc<Counters>,
}

impl Lanes {
    fn new(stage: &Stage) -> Self {
        Self {
            lanes: Vec::new(),
            cascade: Vec::new(),
            source: None,
            captions: BTreeMap::new(),
            recipes: stage.recipes.clone(),
            rate: stage.rate,
            thumb_every: stage.thumb_every,
            last_thumb: None,
            thumbnailer: None,
            outbox: stage.outbox.clone(),
            counters: Arc::clone(&stage.counters),
        }
    }

    fn add(&mut self, setup: RungSetup) {
        let Ok(index) = u8::try_from(self.lanes.len()) else { return };
        self.lanes.push(Lane {
            index,
            setup,
            rests: false,
            scaler: None,
            encoder: None,
            recipe: 0,
            failed: Arc::default(),
            slots: Slots::default(),
            last: None,
        });
        let area = |lane: &Lane| u64::from(lane.setup.rung.width) * u64::from(lane.setup.rung.height);
        self.cascade = (0..self.lanes.len()).collect();
        self.cascade.sort_by_key(|n| std::cmp::Reverse(area(&self.lanes[*n])));
    }

    /// Stops a rung's encoder; what is inside is lost. With `from` another one begins there.
    fn restart(&mut self, rung: u8, from: Option<MediaTime>) {
        let Some(lane) = self.lanes.get_mut(usize::from(rung)) else { return };
        lane.encoder = None;
        lane.last = None;
        lock(&lane.slots).clear();
        lane.rests = from.is_none();
        lane.setup.from = from;
        self.counters.forget(rung);
    }

    fn note_captions(&mut self, pts: MediaTime, payloads: Vec<Bytes>) {
        if payloads.is_empty() {
            return;
        }
        if self.captions.len() >= CAPTIONS_MAX {
            self.captions.pop_first();
        }
        self.captions.insert(pts, payloads);
    }

    /// The captions of all pictures up to this one that no slot has taken yet, so those of dropped pictures go along.
    fn take_captions(&mut self, pts: MediaTime) -> Vec<Bytes> {
        let mut taken = Vec::new();
        while let Some(entry) = self.captions.first_entry().filter(|entry| *entry.key() <= pts) {
            taken.extend(entry.remove());
        }
        taken
    }

    fn show(&mut self, slot: &Slot<Frame>) -> Result<(), Error> {
        let stamp = Stamp { pts: slot.pts, frame_time: self.rate.time_of(1), idr: slot.idr };
        let captions = if slot.repeated { Vec::new() } else { self.take_captions(slot.picture.pts) };
        let mut source = slot.picture.picture.clone();
        for n in self.cascade.clone() {
            let lane = &mut self.lanes[n];
            if lane.rests || lane.setup.from.is_some_and(|from| slot.pts < from) {
                continue;
            }
            let picture = lane.picture(slot, &source, stamp, self.rate, self.source.as_ref())?;
            let pending = Pending { captions: captions.clone(), picture: None };
            lane.give(picture.buffer.clone(), slot.pts, pending, &self.recipes, &self.outbox, &self.counters)?;
            source = picture;
        }
        let due = self.last_thumb.is_none_or(|last| slot.pts - last >= self.thumb_every);
        if self.thumb_every > MediaTime::ZERO && due {
            self.last_thumb = Some(slot.pts);
            self.thumb(&source);
        }
        Ok(())
    }

    /// A thumbnail that can't be made is only missing.
    fn thumb(&mut self, picture: &Picture) {
        if self.thumbnailer.as_ref().is_none_or(|t| !t.suits(picture.aspect)) {
            let full_range = self.source.as_ref().is_some_and(|s| s.color.full_range);
            match Thumbnailer::new(picture.aspect, full_range, thumb::LONG_SIDE) {
                Ok(thumbnailer) => self.thumbnailer = Some(thumbnailer),
                Err(e) => {
                    self.thumb_every = MediaTime::ZERO;
                    return self.outbox.notice(&e.to_string());
                }
            }
        }
        match self.thumbnailer.as_mut().map(|t| t.jpeg(picture)) {
            Some(Ok(data)) => self.outbox.give(FromWorker::Thumb { data }),
            Some(Err(e)) => {
                self.thumbnailer = None;
                self.outbox.notice(&e.to_string());
            }
            None => {}
        }
    }

    fn drain(&mut self) {
        for lane in &mut self.lanes {
            if let Some(encoder) = lane.encoder.take() {
                encoder.drain();
            }
        }
    }
}

impl Lane {
    /// The slot's picture in this rung's size.
    fn picture(
        &mut self,
        slot: &Slot<Frame>,
        source: &Picture,
        stamp: Stamp,
        rate: FrameRate,
        config: Option<&VideoConfig>,
    ) -> Result<Picture, Error> {
        if let Some((_, last)) = self.last.as_ref().filter(|(serial, _)| *serial == slot.picture.serial) {
            return Ok(Picture { buffer: stamp.on(&last.buffer), ..last.clone() });
        }
        let scaler = match &mut self.scaler {
            Some(scaler) => scaler,
            missing => {
                let color = config.map_or(media::ColorInfo::UNSPECIFIED, |c| c.color);
                let height = config.map_or(slot.picture.picture.info.height(), |c| c.height);
                missing.insert(Scaler::new(raw_info(&self.setup.rung, rate, color, height)?)?)
            }
        };
        let same = |info: &gstreamer_video::VideoInfo| {
            info.width() == self.setup.rung.width && info.height() == self.setup.rung.height
        };
        let picture = if same(&source.info) && scaler.fills(source) {
            Picture { buffer: stamp.on(&source.buffer), ..source.clone() }
        } else {
            scaler.scale(source, stamp)?
        };
        self.last = Some((slot.picture.serial, picture.clone()));
        Ok(picture)
    }

    /// Hands a picture to the encoder, starting one or putting another in the place of one that failed.
    fn give(
        &mut self,
        buffer: gst::Buffer,
        pts: MediaTime,
        mut pending: Pending,
        recipes: &[Recipe],
        outbox: &Outbox,
        counters: &Arc<Counters>,
    ) -> Result<(), Error> {
        let keeps = recipes.get(self.recipe).is_some_and(|r| r.element != "x264enc");
        pending.picture = keeps.then(|| buffer.clone());
        {
            let mut slots = lock(&self.slots);
            slots.insert(pts, pending);
            while slots.len() > SLOTS_MAX {
                slots.pop_first();
            }
        }
        if self.encoder.is_none() {
            self.encoder = Some(self.start(recipes, outbox, counters)?);
        }
        let taken = self.encoder.as_ref().is_some_and(|encoder| encoder.push(buffer));
        if taken && !self.failed.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.replace(recipes, outbox, counters)
    }

    fn start(&self, recipes: &[Recipe], outbox: &Outbox, counters: &Arc<Counters>) -> Result<Encoder, Error> {
        let recipe = &recipes[self.recipe % recipes.len()];
        let info =
            self.scaler.as_ref().map(Scaler::info).ok_or_else(|| Error::Element { element: recipe.element.clone() })?;
        let (index, slots, failed) = (self.index, Arc::clone(&self.slots), Arc::clone(&self.failed));
        let (outbox, counters, name) = (outbox.clone(), Arc::clone(counters), self.setup.rung.name.clone());
        Encoder::start(recipe, &self.setup.rung, info, move |encoded| match encoded {
            Encoded::Config(record) => outbox.give(FromWorker::RungConfig { rung: index, record }),
            Encoded::Unit { pts, dts, sync, data } => {
                // A stamp that no slot has can't be placed; it is held back.
                let Some(pending) = lock(&slots).remove(&pts) else { return counters.add_damaged() };
                counters.came_out(index, pts);
                outbox.give(FromWorker::Picture {
                    rung: index,
                    dts,
                    pts,
                    sync,
                    data: captions::insert(data, &pending.captions),
                });
            }
            Encoded::Failed(detail) => {
                failed.store(true, Ordering::Relaxed);
                outbox.notice(&format!("the encoder of {name} failed: {detail}"));
            }
        })
    }

    /// Puts the next encoder in the place of the failed one and gives it what that one still held.
    fn replace(&mut self, recipes: &[Recipe], outbox: &Outbox, counters: &Arc<Counters>) -> Result<(), Error> {
        for _ in 0..recipes.len() {
            drop(self.encoder.take());
            self.recipe += 1;
            self.failed = Arc::default();
            let element = recipes[self.recipe % recipes.len()].element.clone();
            outbox.notice(&link::printable(&format!("{} goes on with {element}", self.setup.rung.name)));
            let newest = counters.newest_out(self.index);
            let held: Vec<gst::Buffer> = {
                let mut slots = lock(&self.slots);
                slots.retain(|pts, pending| newest.is_none_or(|newest| *pts > newest) && pending.picture.is_some());
                slots.values().filter_map(|pending| pending.picture.clone()).collect()
            };
            let Ok(encoder) = self.start(recipes, outbox, counters) else { continue };
            let taken = held.into_iter().all(|buffer| encoder.push(buffer));
            self.encoder = Some(encoder);
            if taken {
                return Ok(());
            }
        }
        Err(Error::Element { element: "a working H.264 encoder".to_owned() })
    }
}
