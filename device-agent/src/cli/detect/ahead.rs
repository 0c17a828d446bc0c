//! Pictures are read, decoded and prepared on a thread of their own while the model looks at the ones before.

use std::sync::mpsc::{Receiver, SyncSender};
use std::time::{Duration, Instant};

use crate::detect::{Preparation, Prepared, Size};
use crate::picture::Picture;
use crate::source::{Frame, FrameSource, SourceError};

/// A picture that the source gave, and how long that took.
pub(super) struct Given {
    pub(super) name: String,
    pub(super) size: Size,
    /// The picture itself, where somebody wants it.
    pub(super) picture: Option<Picture>,
    /// Until the source gave it.
    pub(super) decode: Duration,
    pub(super) prepare: Duration,
}

/// A picture that is ready for the model.
pub(super) struct Ready {
    pub(super) given: Given,
    pub(super) prepared: Prepared,
}

/// What becomes of a picture that is prepared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    /// It is handed on.
    Keep,
    /// It goes: its memory is worth more.
    Drop,
}

/// The way to one model.
pub(super) struct Way {
    pub(super) ready: SyncSender<Result<Ready, SourceError>>,
    /// Memory of pictures that have been looked at.
    pub(super) spare: Receiver<Prepared>,
}

/// Prepares pictures and deals them out, one to each model in turn, until the source or whoever looks has had enough.
pub(super) fn prepare_all(
    mut source: Box<dyn FrameSource>,
    preparation: Preparation,
    after: After,
    ways: &[Way],
) {
    for way in ways.iter().cycle() {
        let began = Instant::now();
        let next = match source.next_frame() {
            Ok(None) => return,
            Ok(Some(Frame { name, picture })) => {
                let decoded = Instant::now();
                let used = way.spare.try_recv().unwrap_or_default();
                let prepared = preparation.prepare(&picture, used);
                let given = Given {
                    name,
                    size: Size::of(&picture),
                    picture: (after == After::Keep).then_some(picture),
                    decode: decoded - began,
                    prepare: decoded.elapsed(),
                };
                Ok(Ready { given, prepared })
            }
            Err(error) => Err(error),
        };
        // Nobody takes what comes after the last picture that was asked for.
        if way.ready.send(next).is_err() {
            return;
        }
    }
}
