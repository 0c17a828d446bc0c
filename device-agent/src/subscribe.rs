//! The machine subscriber: one device buys another's eyes.
//!
//! ```text
//!            ┌──────────── Viewer ◄── events ── Socket ◄── gateway
//!  stdout ◄──┤ Out, Order     │ Said: watching, asks, away
//!            │                ▼
//!            │   decide ◄── Payer ── Purse, Book (disk) ── Ledger ◄──► node
//!            └── News ──► stderr
//! ```
//!
//! The gateway is trusted with nothing: what is paid, to which contract, and whose events are handed on follows from the
//! chain, as the buyer's own node tells it. A transaction is on the disk before it is sent, and nothing else is paid
//! until its fate is known.

mod book;
mod decide;
mod news;
mod offer;
mod order;
mod out;
mod payer;
mod plan;
mod purse;
mod session;
mod socket;
mod start;
mod viewer;

use std::io;
use std::pin::pin;
use std::time::Duration;

use thiserror::Error;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

pub(crate) use decide::Stop;
pub(crate) use news::Voice;
pub(crate) use plan::{Leaving, Plan};

use self::news::News;
use self::payer::{CancelError, PayError, Payer};
use self::start::{StartError, Started};
use self::viewer::{Seen, ViewError, Viewer};
use crate::causes::causes;

/// How long whoever reads may take to take the event that it is being handed when everything ends.
const LAST_EVENT: Duration = Duration::from_secs(5);

/// How a purchase ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Somebody asked for it, or there were as many events as wanted.
    Asked,
    /// There is nothing more to buy.
    Stopped(Stop),
}

/// Why a purchase failed.
#[derive(Debug, Error)]
pub(crate) enum SubscribeError {
    /// It could not begin.
    #[error(transparent)]
    Start(#[from] StartError),
    /// It could not be paid.
    #[error(transparent)]
    Pay(#[from] PayError),
    /// It could not be watched.
    #[error(transparent)]
    View(#[from] ViewError),
    /// The rest did not come back.
    #[error(transparent)]
    Cancel(#[from] CancelError),
    /// The system gives no signals.
    #[error("signals cannot be heard")]
    Signal(#[from] io::Error),
}

impl SubscribeError {
    /// Whether the gateway has said what is not so.
    pub(crate) fn blames_the_gateway(&self) -> bool {
        matches!(
            self,
            Self::Start(StartError::Lied(_) | StartError::Unverified(_))
                | Self::View(ViewError::Lied(_))
        )
    }
}

/// Buys and watches a feed until it is enough, too much, or somebody asks to stop by resolving `asked`; a second
/// resolution of `hurried` gives up a cancel that is on its way.
///
/// # Errors
/// When trying again cannot help.
pub(crate) async fn subscribe(
    plan: Plan,
    asked: impl Future<Output = io::Result<&'static str>>,
    hurried: impl Future<Output = io::Result<&'static str>>,
) -> Result<Ending, SubscribeError> {
    let mut asked = pin!(asked);
    let leaving = plan.leaving;
    let voice = plan.voice;
    let budget = plan.budget;
    let mut hurried = pin!(hurried);
    let mut starting = pin!(start::start(plan));
    let (started, early) = tokio::select! {
        started = &mut starting => (started?, None),
        signal = &mut asked => {
            let signal = signal?;
            if leaving == Leaving::Keep {
                return Ok(Ending::Asked);
            }
            // An earlier time may have paid for what is to come back.
            tokio::select! {
                started = starting => (started?, Some(signal)),
                signal = &mut hurried => {
                    signal?;
                    let reason = "told to stop before it was known what there is to cancel".to_owned();
                    voice.tell(&News::NotCancelled { reason });
                    return Ok(Ending::Asked);
                }
            }
        }
    };
    let Started {
        mut payer,
        mut viewer,
    } = started;
    let ended = match early {
        None => watch_and_pay(&mut payer, &mut viewer, asked).await,
        Some(signal) => Ok(Ended::Signal(signal)),
    };
    // However it ended, what was not used comes back.
    let cancelled = match leaving {
        Leaving::Keep => Ok(()),
        Leaving::Cancel => tokio::select! {
            cancelled = payer.cancel() => cancelled.map_err(SubscribeError::from),
            signal = &mut hurried => {
                let reason = "told to stop before the cancel was through".to_owned();
                voice.tell(&News::NotCancelled { reason });
                signal.map(drop).map_err(SubscribeError::from)
            }
        },
    };
    let ended = match (ended, cancelled) {
        (Ok(ended), Ok(())) => ended,
        (Ok(_), Err(error)) | (Err(error), Ok(())) => return Err(error),
        (Err(error), Err(second)) => {
            let reason = causes(&second);
            voice.tell(&News::NotCancelled { reason });
            return Err(error);
        }
    };
    let (tally, account) = (viewer.tally(), payer.account());
    voice.tell(&News::Stopped {
        reason: ended.to_string(),
        events: tally.events,
        missing: tally.missing,
        replayed: tally.replayed,
        refused: tally.refused,
        spent: account.purse.spent(),
        budget,
    });
    Ok(match ended {
        Ended::Paid(stop) => Ending::Stopped(stop),
        Ended::Seen(_) | Ended::Signal(_) => Ending::Asked,
    })
}

/// Pays and watches until either ends, or somebody asks to stop by resolving `asked`.
async fn watch_and_pay(
    payer: &mut Payer,
    viewer: &mut Viewer,
    asked: impl Future<Output = io::Result<&'static str>>,
) -> Result<Ended, SubscribeError> {
    let stop = CancellationToken::new();
    let mut viewing = pin!(viewer.run(&stop));
    let ended = tokio::select! {
        stopped = payer.run() => stopped.map(Ended::Paid).map_err(SubscribeError::from),
        seen = &mut viewing => return Ok(Ended::Seen(seen?)),
        signal = asked => signal.map(Ended::Signal).map_err(SubscribeError::from),
    };
    stop.cancel();
    // Events that were handed on are remembered; a reader that takes none is not waited for.
    let seen = timeout(LAST_EVENT, viewing).await;
    let ended = ended?;
    if let Ok(seen) = seen {
        seen?;
    }
    Ok(ended)
}

/// What came to its end first.
enum Ended {
    Paid(Stop),
    Seen(Seen),
    Signal(&'static str),
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Paid(stop) => stop.fmt(f),
            Self::Seen(Seen::Enough) => f.write_str("as many events as asked for"),
            Self::Seen(Seen::Closed) => f.write_str("nobody reads any more"),
            Self::Seen(Seen::Stopped) => f.write_str("stopped"),
            Self::Signal(name) => write!(f, "{name}"),
        }
    }
}
