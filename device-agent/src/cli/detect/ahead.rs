//! Pictures are read, decoded and prepared on a thread of their own while the model looks at the one before.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::detect::{Preparation, Prepared, Size};
use crate::picture::Picture;
use crate::source::{Frame, FrameSource, SourceError};

/// Pictures that wait for the model, beside the one on which the thread works: a picture takes less time to prepare than
/// to look at.
const AHEAD: usize = 1;

/// A picture that is ready for the model, and how long that took.
pub(super) struct Ready {
    pub(super) name: String,
    pub(super) size: Size,
    /// The picture itself, where somebody wants it.
    pub(super) picture: Option<Picture>,
    pub(super) prepared: Prepared,
    /// Until the source gave it.
    pub(super) decode: Duration,
    pub(super) prepare: Duration,
}

/// What becomes of a picture that is prepared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    /// It is handed on.
    Keep,
    /// It goes: its memory is worth more.
    Drop,
}

/// Where the model takes its pictures from.
pub(super) struct Next {
    ready: Receiver<Result<Ready, SourceError>>,
    used: SyncSender<Prepared>,
}

/// Opens the thread, lets `look` take the pictures, and closes the thread.
pub(super) fn ahead<T>(
    source: Box<dyn FrameSource>,
    preparation: Preparation,
    after: After,
    look: impl FnOnce(&mut Next) -> T,
) -> T {
    let (sender, ready) = sync_channel(AHEAD);
    let (used, spare) = sync_channel(AHEAD);
    thread::scope(|scope| {
        scope.spawn(move || prepare_all(source, preparation, after, &sender, &spare));
        // It is dropped here, at the latest, which ends the thread.
        look(&mut Next { ready, used })
    })
}

impl Next {
    /// The next picture; `None` at the end of the source.
    pub(super) fn take(&mut self) -> Option<Result<Ready, SourceError>> {
        self.ready.recv().ok()
    }

    /// Lends the memory of a picture that has been looked at to a later one.
    pub(super) fn give_back(&self, used: Prepared) {
        // A thread that has enough, or has reached the end, needs none.
        let _ = self.used.try_send(used);
    }
}

fn prepare_all(
    mut source: Box<dyn FrameSource>,
    preparation: Preparation,
    after: After,
    ready: &SyncSender<Result<Ready, SourceError>>,
    spare: &Receiver<Prepared>,
) {
    loop {
        let began = Instant::now();
        let next = match source.next_frame() {
            Ok(None) => return,
            Ok(Some(Frame { name, picture })) => {
                let decoded = Instant::now();
                let used = spare.try_recv().unwrap_or_default();
                let prepared = preparation.prepare(&picture, used);
                Ok(Ready {
                    name,
                    size: Size::of(&picture),
                    picture: (after == After::Keep).then_some(picture),
                    prepared,
                    decode: decoded - began,
                    prepare: decoded.elapsed(),
                })
            }
            Err(error) => Err(error),
        };
        // Nobody takes what comes after the last picture that was asked for.
        if ready.send(next).is_err() {
            return;
        }
    }
}
