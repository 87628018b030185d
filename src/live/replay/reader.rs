//! The media of a replay, read ahead of time: segments from the disk or the vault, as access units.

use super::super::Context;
use super::Ending;
use super::projector::Film;
use crate::recordings::{Footage, SOUND, Scene};
use media::{AudioConfig, Config, MediaTime};
use packager::Unpacker;
use std::io;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Media may begin or end so far beside the segment it is in: a frame of sound, a reordered picture.
const ASTRAY_MAX: MediaTime = MediaTime::from_millis(2_000);
/// So many scenes in a row that can't be read, and the recording is gone.
const UNREADABLE_MAX: usize = 10;

/// Reads scenes.
pub struct Reader {
    context: Arc<Context>,
    footage: Arc<Footage>,
    /// What reads pictures and sound now, with the number of its init section.
    pictures: Option<(u64, Unpacker)>,
    sound: Option<(u64, Unpacker)>,
}

impl Reader {
    pub fn new(context: Arc<Context>, footage: Arc<Footage>) -> Self {
        Self { context, footage, pictures: None, sound: None }
    }

    /// How the first sound is coded.
    pub async fn first_sound(&self) -> Option<Arc<AudioConfig>> {
        let generation = self.footage.scenes.iter().find_map(|scene| scene.sound)?;
        let init = self.context.recordings.footage_init(&self.footage, SOUND, generation).await?;
        match Unpacker::new(&init).ok()?.config() {
            Config::Audio(audio) => Some(Arc::clone(audio)),
            Config::Video(_) => None,
        }
    }

    /// Gives one after the other, as fast as they are taken; for ever if so wanted.
    pub async fn run(mut self, loops: bool, films: mpsc::Sender<Film>) -> Ending {
        let footage = Arc::clone(&self.footage);
        let mut was_cut = false;
        loop {
            let mut unreadable = 0;
            for scene in &footage.scenes {
                match self.read(scene).await {
                    Ok(film) => {
                        unreadable = 0;
                        let is_break = std::mem::take(&mut was_cut) || film.is_break;
                        if films.send(Film { is_break, ..film }).await.is_err() {
                            return Ending::Over;
                        }
                    }
                    Err(error) => {
                        metrics::counter!("weir_replay_skipped_segments_total").increment(1);
                        tracing::warn!(%error, msn = scene.msn, "a segment can't be replayed and is left out");
                        (unreadable, was_cut) = (unreadable + 1, true);
                        if unreadable >= UNREADABLE_MAX.min(footage.scenes.len()) {
                            return Ending::Unreadable;
                        }
                    }
                }
            }
            if !loops {
                return Ending::Over;
            }
            was_cut = true;
        }
    }

    /// Without its pictures a scene is nothing; without its sound it is silent.
    async fn read(&mut self, scene: &Scene) -> io::Result<Film> {
        let (footage, keep) = (&self.footage, &self.context.recordings);
        let mut film = Film { start: scene.start, end: scene.end, is_break: scene.is_break, ..Film::default() };
        let load = async |rendition: &str, generation: u64, known: &mut Option<(u64, Unpacker)>| {
            if known.as_ref().is_none_or(|(number, _)| *number != generation) {
                let gone = || io::Error::new(io::ErrorKind::NotFound, "the init section is gone");
                let init = keep.footage_init(footage, rendition, generation).await.ok_or_else(gone)?;
                *known = Some((generation, Unpacker::new(&init).map_err(io::Error::other)?));
            }
            let segment = keep.footage_segment(footage, rendition, scene.msn).await?;
            let Some((_, unpacker)) = known else { return Ok(Vec::new()) };
            let units = unpacker.units(&segment).map_err(io::Error::other)?;
            let around = scene.start - ASTRAY_MAX..scene.end + ASTRAY_MAX;
            match units.iter().all(|unit| around.contains(&unit.pts) && around.contains(&unit.dts)) {
                true => Ok(units),
                false => Err(io::Error::new(io::ErrorKind::InvalidData, "its times lie outside of the segment")),
            }
        };
        if let Some(generation) = scene.pictures {
            film.pictures = load(&footage.lead, generation, &mut self.pictures).await?;
        }
        if let Some(generation) = scene.sound {
            match load(SOUND, generation, &mut self.sound).await {
                Ok(sound) => film.sound = sound,
                Err(error) if scene.pictures.is_none() => return Err(error),
                Err(error) => tracing::warn!(%error, msn = scene.msn, "sound can't be replayed; it is silent here"),
            }
        }
        Ok(film)
    }
}
