//! Models side by side, each on a thread of its own.
//!
//! ```text
//!            ┌─► model 1 ─┐
//!  source ───┼─► model 2 ─┼──► results, in the order of the pictures
//!            └─► model 3 ─┘
//! ```
//!
//! Pictures are dealt out in turn and taken back in turn, which keeps their order.

use std::num::NonZero;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use thiserror::Error;

use super::ahead::{After, Given, Ready, Way, prepare_all};
use crate::detect::{Candidate, Confidence, DetectError, Detector, Overlap, Prepared};
use crate::source::{FrameSource, SourceError};

/// Pictures that wait for each model, so that it need not wait for the one that is being prepared.
const AHEAD: usize = 1;
/// Results of a model that wait for whoever takes them.
const BEHIND: usize = 1;

/// How each picture is looked at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    pub(super) confidence: Confidence,
    /// How often the model runs on it.
    pub(super) repeat: NonZero<u32>,
    pub(super) after: After,
}

/// What a model saw in a picture, and how long that took.
#[derive(Debug, Default)]
pub(super) struct Sight {
    pub(super) objects: Vec<Candidate>,
    pub(super) runs: u32,
    /// Of the graph, all runs together.
    pub(super) run: Duration,
    /// Reading its outputs.
    pub(super) read: Duration,
}

/// Why a picture was not looked at.
#[derive(Debug, Error)]
pub(super) enum LookError {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Model(#[from] DetectError),
}

type Looked = Result<(Given, Sight), LookError>;

/// Lets the models look at the pictures of the source until `take` has had enough of what they saw.
pub(super) fn side_by_side<T>(
    source: Box<dyn FrameSource>,
    detectors: Vec<Detector>,
    look: Look,
    take: impl FnOnce(&mut dyn Iterator<Item = Looked>) -> T,
) -> T {
    let Some(preparation) = detectors.first().map(Detector::preparation) else {
        return take(&mut std::iter::empty());
    };
    thread::scope(|scope| {
        let (mut ways, mut results) = (Vec::new(), Vec::new());
        for mut detector in detectors {
            let (ready, pictures) = sync_channel(AHEAD);
            let (used, spare) = sync_channel(AHEAD);
            let (looked, result) = sync_channel(BEHIND);
            ways.push(Way { ready, spare });
            results.push(result);
            scope.spawn(move || look.at_all(&mut detector, &pictures, &used, &looked));
        }
        scope.spawn(move || prepare_all(source, preparation, look.after, &ways));
        let turns = (0..results.len()).cycle();
        // The results are dropped with the iterator, which ends one thread after the other.
        take(&mut turns.map_while(move |turn| results[turn].recv().ok()))
    })
}

impl Look {
    fn at_all(
        self,
        detector: &mut Detector,
        pictures: &Receiver<Result<Ready, SourceError>>,
        used: &SyncSender<Prepared>,
        looked: &SyncSender<Looked>,
    ) {
        for ready in pictures {
            let seen = ready.map_err(LookError::from).and_then(|ready| {
                let sight = self.at(detector, &ready.prepared)?;
                // A thread that has enough, or has reached the end, needs none.
                let _ = used.try_send(ready.prepared);
                Ok((ready.given, sight))
            });
            // Nobody takes what comes after the last picture that was asked for.
            if looked.send(seen).is_err() {
                return;
            }
        }
    }

    fn at(self, detector: &mut Detector, prepared: &Prepared) -> Result<Sight, DetectError> {
        let mut sight = Sight::default();
        for _ in 0..self.repeat.get() {
            let found = detector.look(prepared, self.confidence, Overlap::REFERENCE)?;
            sight.objects = found.objects;
            sight.runs += 1;
            sight.run += found.run;
            sight.read += found.read;
        }
        Ok(sight)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::detect::ModelOptions;
    use crate::runtime::tests::runtime;
    use crate::source::{Playback, SourceSpec};

    const PICTURES: usize = 7;

    /// Names and numbers of objects of what was looked at; an unreadable picture has none.
    fn seen(folder: &Path, jobs: usize, limit: usize) -> Vec<Option<(String, usize)>> {
        let model = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../models/street_tiny_320.onnx"
        );
        let load = |_| Detector::load(runtime(), &ModelOptions::new(model)).unwrap();
        let look = Look {
            confidence: Confidence::DEFAULT,
            repeat: NonZero::<u32>::MIN,
            after: After::Drop,
        };
        let source = SourceSpec::Path(folder.to_owned())
            .open(Playback::Once, &CancellationToken::new())
            .unwrap();
        side_by_side(source, (0..jobs).map(load).collect(), look, |looked| {
            let seen = |looked| match looked {
                Ok((Given { name, .. }, Sight { objects, .. })) => Some((name, objects.len())),
                Err(LookError::Source(_)) => None,
                Err(LookError::Model(error)) => panic!("{error}"),
            };
            looked.take(limit).map(seen).collect()
        })
    }

    #[test]
    fn pictures_come_back_in_their_order_however_many_models_look() {
        let scenes = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/street_synth/images");
        let folder = tempfile::tempdir().unwrap();
        let mut scenes: Vec<_> = fs::read_dir(scenes)
            .unwrap()
            .map(|file| file.unwrap())
            .collect();
        scenes.sort_by_key(std::fs::DirEntry::path);
        for (number, scene) in scenes.iter().take(PICTURES).enumerate() {
            fs::copy(scene.path(), folder.path().join(format!("{number}.jpg"))).unwrap();
        }
        fs::write(folder.path().join("3.jpg"), b"no picture").unwrap();
        let alone = seen(folder.path(), 1, usize::MAX);
        let names: Vec<_> = alone
            .iter()
            .map(|seen| seen.as_ref().map(|(name, _)| &**name))
            .collect();
        let expected = ["0", "1", "2", "", "4", "5", "6"].map(|name| match name {
            "" => None,
            name => Some(format!("{name}.jpg")),
        });
        assert_eq!(
            names,
            expected.iter().map(Option::as_deref).collect::<Vec<_>>()
        );
        assert!(
            alone.iter().flatten().any(|(_, objects)| *objects > 0),
            "{alone:?}"
        );
        for (jobs, limit) in [(2, usize::MAX), (3, usize::MAX), (3, 4), (2, 1), (9, 9)] {
            let together = seen(folder.path(), jobs, limit);
            assert_eq!(
                together,
                alone[..PICTURES.min(limit)],
                "{jobs} jobs, {limit} pictures"
            );
        }
    }
}
