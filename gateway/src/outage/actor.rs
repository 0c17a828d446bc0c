use std::collections::HashMap;
use std::time::Duration;

use ashya_contracts::{ChainError, Ledger, Receipt, Rpc, Wallet};
use ashya_protocol::FeedId;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use super::allowance::{Allowance, Held, Limits};
use super::decision::{Step, decide};
use super::heard::Heard;
use super::reach::{self, Reach, with_reach};
use crate::chain_clock::ChainClock;
use crate::ledger_index::{FeedView, LedgerIndex};
use crate::metrics::Metrics;

/// Time between looks at the feeds. Owners give their devices tens of seconds at least.
const TICK: Duration = Duration::from_secs(1);
/// Most transactions under way at once.
const MOST_UNDER_WAY: usize = 16;
/// After a step, the time for the index to hear of it from the chain; after a failure, the time before another try.
const REST: Duration = Duration::from_secs(15);
/// Time before a feed is looked at again for which nothing can be done now.
const LONG_REST: Duration = Duration::from_secs(60);

/// What outage credit works with.
#[derive(Debug)]
pub(crate) struct OutageParts {
    /// Who pays for the gas and is named as pauser by owners.
    pub(crate) wallet: Wallet,
    /// The node that takes the transactions.
    pub(crate) rpc: Rpc,
    /// Feeds, clocks, pausers, listings.
    pub(crate) index: LedgerIndex,
    /// Whether the view of the chain is current.
    pub(crate) clock: ChainClock,
    /// When devices were heard.
    pub(crate) heard: Heard,
    /// What it may cost.
    pub(crate) limits: Limits,
    /// Where steps are counted.
    pub(crate) metrics: Metrics,
}

/// Pauses the feeds of silent devices and resumes them when they are back, until `shutdown`.
pub(crate) async fn run(parts: OutageParts, shutdown: CancellationToken) {
    let Some(ledger) = connect(&parts, &shutdown).await else {
        return;
    };
    let mut actor = Actor {
        ledger,
        allowance: Allowance::new(parts.limits, Instant::now()),
        rests: HashMap::new(),
        under_way: JoinSet::new(),
        parts,
    };
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tracing::info!(wallet = %actor.parts.wallet.address(), "outage credit is on for feeds that name this pauser");
    loop {
        tokio::select! {
            biased;
            // What was sent is on the chain's way; the next run reads from the ledger how it ended.
            () = shutdown.cancelled() => return,
            Some(Ok(done)) = actor.under_way.join_next() => actor.finish(done),
            now = ticks.tick() => actor.look(now),
        }
    }
}

/// The ledger, as soon as the node answers; `None` at shutdown.
async fn connect(parts: &OutageParts, shutdown: &CancellationToken) -> Option<Ledger> {
    loop {
        let address = parts.index.domain().ledger;
        let error = tokio::select! {
            () = shutdown.cancelled() => return None,
            connected = Ledger::connect(parts.rpc.clone(), address) => match connected {
                Ok(ledger) => return Some(ledger),
                Err(error) => error,
            },
        };
        tracing::debug!(
            error = &error as &dyn std::error::Error,
            "outage credit waits for the node"
        );
        tokio::select! {
            () = shutdown.cancelled() => return None,
            () = sleep(REST) => {}
        }
    }
}

#[derive(Debug)]
struct Actor {
    ledger: Ledger,
    parts: OutageParts,
    allowance: Allowance,
    /// Feeds that are not looked at before their time.
    rests: HashMap<FeedId, Instant>,
    under_way: JoinSet<Done>,
}

#[derive(Debug)]
struct Done {
    feed: FeedId,
    step: Step,
    held: Held,
    outcome: Result<Receipt, ChainError>,
    reach: Reach,
}

impl Actor {
    fn look(&mut self, now: Instant) {
        // An old view would pause what is paused, for nothing.
        if !self.parts.clock.is_current() {
            return;
        }
        self.rests.retain(|_, until| *until > now);
        let own = self.parts.wallet.address();
        for feed in self.parts.index.feeds_of_pauser(own) {
            if self.under_way.len() >= MOST_UNDER_WAY {
                return;
            }
            if !self.rests.contains_key(&feed.id)
                && let Some(step) = self.step_for(&feed, now)
            {
                self.begin(&feed, step, now);
            }
        }
    }

    fn step_for(&self, feed: &FeedView, now: Instant) -> Option<Step> {
        let listing = &feed.document.as_ref()?.listing;
        let limit = Duration::from_secs(listing.outage_seconds?.into());
        let last = self.parts.heard.last(feed.device, listing.stream_names())?;
        decide(
            &feed.clock,
            self.parts.wallet.address(),
            last.silence(now),
            limit,
        )
    }

    fn begin(&mut self, feed: &FeedView, step: Step, now: Instant) {
        let id = feed.id;
        // A pause that nobody gains by is not worth its gas.
        let chain_now = self.parts.clock.now_seconds();
        if step == Step::Pause && !self.parts.index.has_live_subscription(id, chain_now) {
            self.rests.insert(id, now + REST);
            return;
        }
        self.rests.insert(id, now + LONG_REST);
        match self.allowance.take(id, step, now) {
            Ok(held) => self.send(id, step, held),
            Err(spent) => {
                tracing::warn!(feed.id = %id, reason = %spent, "a silent device's feed is not paused");
            }
        }
    }

    fn send(&mut self, feed: FeedId, step: Step, held: Held) {
        let ledger = self.ledger.clone();
        let wallet = self.parts.wallet.clone().with_watcher(reach::note);
        self.under_way.spawn(async move {
            let sent = async {
                match step {
                    Step::Pause => ledger.pause(&wallet, feed).await,
                    Step::Resume => ledger.resume(&wallet, feed).await,
                }
            };
            let (outcome, reach) = with_reach(sent).await;
            Done {
                feed,
                step,
                held,
                outcome,
                reach,
            }
        });
    }

    fn finish(&mut self, done: Done) {
        let Done {
            feed,
            step,
            held,
            outcome,
            reach,
        } = done;
        self.rests.insert(feed, Instant::now() + REST);
        if outcome.is_err() && reach == Reach::Draft {
            self.allowance.give_back(held);
        }
        match (outcome, step) {
            (Ok(receipt), Step::Pause) => {
                self.parts.metrics.outage_pauses.inc();
                tracing::info!(
                    feed.id = %feed, fee.wei = %receipt.fee,
                    "device silent: the feed is paused, nobody is charged"
                );
            }
            (Ok(receipt), Step::Resume) => {
                self.parts.metrics.outage_resumes.inc();
                tracing::info!(feed.id = %feed, fee.wei = %receipt.fee, "device back: the feed runs again");
            }
            (Err(error), step) => {
                self.parts.metrics.outage_failures.inc();
                let error = &error as &dyn std::error::Error;
                tracing::warn!(feed.id = %feed, ?step, error, "a feed's clock could not be changed");
            }
        }
    }
}
