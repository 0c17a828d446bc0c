use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;
use std::time::Duration;

use ashya_contracts::{ChainError, Ledger, Receipt, Rpc, Wallet};
use ashya_protocol::{Address, FeedId};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use super::allowance::{Allowance, Held, KeptAllowance, Limits, Spent};
use super::decision::{Step, step_for};
use super::heard::Heard;
use super::reach::{self, Reach, with_reach};
use super::way::Way;
use crate::chain_clock::{ChainClock, wall_clock};
use crate::chained::Chained;
use crate::ledger_index::{FeedView, LedgerIndex};
use crate::metrics::Metrics;
use crate::store::{Store, StoreError};

/// Time between looks at the feeds. Owners give their devices tens of seconds at least.
const TICK: Duration = Duration::from_secs(1);
/// Most transactions under way at once. Each offers at most its share of what the wallet holds.
const MOST_UNDER_WAY: NonZeroUsize = NonZeroUsize::new(16).expect("not zero");
/// After a step, the time for the index to hear of it from the chain; after a failure, the time before another try.
const REST: Duration = Duration::from_secs(15);
/// Time before a feed is looked at again for which nothing can be done now.
const LONG_REST: Duration = Duration::from_secs(60);
/// The one record of its tree in the store.
const ALLOWANCE_KEY: &[u8] = b"allowance";
/// Longer than any step takes: its end sets another time.
const WHILE_UNDER_WAY: Duration = Duration::from_secs(3600);

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
    /// Where it is kept what it has cost.
    pub(crate) store: Store,
    /// Where steps are counted.
    pub(crate) metrics: Metrics,
}

/// Reads what earlier runs have noted of what outage credit has cost.
///
/// # Errors
/// When the store fails, or is damaged.
pub(crate) fn load_allowance(store: &Store) -> Result<KeptAllowance, StoreError> {
    let kept = store.outage.load()?.pop();
    Ok(kept.map(|(_, kept)| kept).unwrap_or_default())
}

/// Pauses the feeds of silent devices and resumes them when they are back, until `shutdown`. It goes on with what is
/// `kept` of today's allowance.
pub(crate) async fn run(parts: OutageParts, kept: KeptAllowance, shutdown: CancellationToken) {
    let Some(ledger) = connect(&parts, &shutdown).await else {
        return;
    };
    let mut actor = Actor::new(parts, kept, ledger, Instant::now());
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tracing::info!(wallet = %actor.parts.wallet.address(), "outage credit is on for feeds that name this pauser");
    loop {
        tokio::select! {
            biased;
            // What was sent is on the chain's way; the next run reads from the ledger how it ended.
            () = shutdown.cancelled() => return,
            Some(Ok(done)) = actor.under_way.join_next() => actor.finish(done, Instant::now()),
            now = ticks.tick() => {
                shutdown.run_until_cancelled(actor.look(now)).await;
            }
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
    way: Way,
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
    fn new(mut parts: OutageParts, kept: KeptAllowance, ledger: Ledger, now: Instant) -> Self {
        let wallet = parts.wallet.with_watcher(reach::note);
        parts.wallet = wallet.offering_its_limit(MOST_UNDER_WAY);
        let unix = wall_clock().as_secs();
        Self {
            ledger,
            allowance: Allowance::go_on(parts.limits, kept, now, unix),
            way: Way::new(now),
            rests: HashMap::new(),
            under_way: JoinSet::new(),
            parts,
        }
    }

    /// Notes what today has cost so far. It is on the disk with the next flush.
    fn keep_allowance(&self, now: Instant) -> Result<(), StoreError> {
        let kept = self.allowance.kept(now, wall_clock().as_secs());
        self.parts.store.outage.put(ALLOWANCE_KEY, &kept)
    }

    async fn look(&mut self, now: Instant) {
        // An old view would pause what is paused, for nothing.
        if !self.parts.clock.is_current() || !self.is_way_clear(now).await {
            return;
        }
        self.rests.retain(|_, until| *until > now);
        let own = self.parts.wallet.address();
        let feeds = self.parts.index.feeds_of_pauser(own);
        self.release_lifted(&feeds, own);
        let chain_now = self.parts.clock.now_seconds();
        for feed in feeds {
            if self.under_way.len() >= MOST_UNDER_WAY.get() {
                return;
            }
            if !self.rests.contains_key(&feed.id)
                && let Some(step) = step_for(&feed, own, &self.parts.heard, now, chain_now)
            {
                self.begin(feed.id, step, now);
            }
        }
    }

    /// Whether what is sent now would be mined. The node is asked where that is in doubt, once nothing is under way.
    async fn is_way_clear(&mut self, now: Instant) -> bool {
        if self.way.is_asked_at(now) && self.under_way.is_empty() {
            let wallet = self.parts.wallet.address();
            match self.ledger.unmined(wallet).await {
                Ok(unmined) => {
                    if let Some(nonce) = self.way.found(&unmined, now) {
                        tracing::warn!(
                            %wallet, nonce,
                            "outage credit waits, since a transaction of its wallet is not mined: it goes on when the \
                             base fee falls, or when you send another of this nonce from that wallet at a higher fee"
                        );
                    }
                }
                Err(error) => {
                    self.way.ask_again(now);
                    let error = &error as &dyn std::error::Error;
                    tracing::debug!(error, "outage credit could not ask what waits to be mined");
                }
            }
        }
        self.way.is_clear()
    }

    /// Gives back what was set aside for the resumes of feeds that do not stand in a pause of our own.
    fn release_lifted(&mut self, feeds: &[FeedView], own: Address) {
        let paused = feeds
            .iter()
            .filter(|feed| feed.clock.paused_by == Some(own) && feed.clock.retires_at.is_none());
        let paused: HashSet<_> = paused.map(|feed| feed.id).collect();
        // Of a step of just now the index may not have heard.
        let rests = &self.rests;
        self.allowance
            .keep_resumes(|feed| paused.contains(&feed) || rests.contains_key(&feed));
    }

    fn begin(&mut self, feed: FeedId, step: Step, now: Instant) {
        // A pause that nobody gains by is not worth its gas.
        let chain_now = self.parts.clock.now_seconds();
        if step == Step::Pause && !self.parts.index.has_live_subscription(feed, chain_now) {
            self.rests.insert(feed, now + REST);
            return;
        }
        match self.allowance.take(feed, step, now) {
            Ok(held) => match self.keep_allowance(now) {
                Ok(()) => {
                    self.rests.insert(feed, now + WHILE_UNDER_WAY);
                    self.send(feed, step, held);
                }
                Err(error) => {
                    self.allowance.give_back(held);
                    self.rests.insert(feed, now + LONG_REST);
                    tracing::warn!(feed.id = %feed, error = %Chained(&error), "a feed's clock is left as it is");
                }
            },
            // The steps under way will not cost what they have set aside.
            Err(Spent::Day) if !self.under_way.is_empty() => {
                self.rests.insert(feed, now + REST);
            }
            Err(spent) => {
                self.rests.insert(feed, now + LONG_REST);
                tracing::warn!(feed.id = %feed, reason = %spent, "a silent device's feed is not paused");
            }
        }
    }

    fn send(&mut self, feed: FeedId, step: Step, held: Held) {
        let ledger = self.ledger.clone();
        let wallet = self.parts.wallet.clone();
        let store = self.parts.store.clone();
        self.under_way.spawn(async move {
            let sent = async {
                // A store that cannot be written for long ends the gateway, and with it whatever waits here.
                while store.flush().await.is_err() {
                    sleep(REST).await;
                }
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

    fn finish(&mut self, done: Done, now: Instant) {
        let Done {
            feed,
            step,
            held,
            outcome,
            reach,
        } = done;
        self.rests.insert(feed, now + REST);
        match (&outcome, reach) {
            (Ok(receipt), _) => self.allowance.settle(held, Some(receipt.fee)),
            (Err(_), Reach::Unsent) => self.allowance.give_back(held),
            (Err(_), Reach::Maybe) => {
                self.allowance.settle(held, None);
                self.way.doubt(now);
            }
        }
        if let Err(error) = self.keep_allowance(now) {
            tracing::warn!(error = %Chained(&error), "what outage credit has cost is not noted");
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

#[cfg(test)]
mod tests;
