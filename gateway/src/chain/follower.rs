use std::time::Duration;

use ashya_contracts::{Block, Deployment, Ledger, Rpc};
use ashya_protocol::rest::Head;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::endpoints::Endpoints;
use super::fork::{Relation, relate};
use super::journal::Journal;
use super::pace::{Pace, Tempo};
use super::progress::Progress;
use super::reader::Reader;
use super::replica::Replica;
use super::{ChainStatus, FollowerError, RoundError};
use crate::chain_clock::ChainClock;
use crate::chained::Chained;
use crate::ledger_index::{LedgerIndex, Snapshot};
use crate::metrics::Metrics;
use crate::store::{BlockId, LedgerIdentity, Store, StoreError};

/// Reads the ledger's events block by block and applies them.
///
/// ```text
///  head ──► last shared block, by hash ──► blocks after it, complete ──► index ──► store ──► clock
///               └─ below the journal: replay from the deployment into a fresh index, then swap it in
/// ```
///
/// Each block that is applied leaves in the journal what was before it. Where the node's chain has parted from the applied
/// blocks, the other branch is read first and taken over in one move, so that what stands on both branches never flickers.
/// Nothing is taken back but for blocks that lead by parent hash from a shared block past where the branches part.
///
/// The clock hears of a head only when everything up to it is applied, so a current clock means a current index.
#[derive(Debug)]
pub(crate) struct Follower {
    parts: FollowerParts,
    endpoints: Endpoints,
    reader: Reader,
    tempo: Tempo,
    /// What is shown and kept, once anything is known.
    live: Option<Replica>,
    /// A replay from the deployment that is to take its place.
    scratch: Option<Replica>,
    /// Whether the store has failed, so that what is in memory may be ahead of what is kept.
    astray: bool,
}

/// What a [`Follower`] works on.
#[derive(Debug)]
pub(crate) struct FollowerParts {
    /// The nodes, in the order in which they are tried.
    pub(crate) rpcs: Vec<Rpc>,
    pub(crate) deployment: Deployment,
    pub(crate) index: LedgerIndex,
    pub(crate) clock: ChainClock,
    pub(crate) store: Store,
    pub(crate) status: ChainStatus,
    pub(crate) metrics: Metrics,
    /// How often the nodes are asked for their heads.
    pub(crate) pace: Pace,
    /// Most blocks in one request for logs.
    pub(crate) blocks_per_request: u64,
    /// Most blocks that can be taken back without a replay.
    pub(crate) journal_blocks: usize,
}

impl Follower {
    /// Takes up where the store's index ends.
    ///
    /// # Errors
    /// When the store belongs to another ledger, or fails.
    pub(crate) fn resume(parts: FollowerParts) -> Result<Self, FollowerError> {
        let identity = LedgerIdentity {
            chain_id: parts.deployment.chain_id,
            ledger: parts.deployment.ledger,
        };
        match parts.store.identity()? {
            Some(known) if known != identity => {
                return Err(FollowerError::OtherLedger {
                    known_ledger: known.ledger,
                    known_chain: known.chain_id,
                    ledger: identity.ledger,
                    chain: identity.chain_id,
                });
            }
            Some(_) => {}
            None => parts.store.set_identity(identity)?,
        }
        let mut follower = Self {
            endpoints: Endpoints::new(parts.rpcs.clone(), parts.deployment, parts.pace),
            reader: Reader::new(parts.blocks_per_request, parts.metrics.clone()),
            tempo: Tempo::default(),
            live: None,
            scratch: None,
            astray: false,
            parts,
        };
        follower.load()?;
        Ok(follower)
    }

    /// Follows until `shutdown`, whatever the nodes do.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        loop {
            let round = tokio::select! {
                () = shutdown.cancelled() => return,
                round = self.round() => round,
            };
            let wait = self.conclude(&round);
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
                () = self.endpoints.new_head() => {}
            }
        }
    }

    /// Notes how a round went. Gives back the time until the next.
    pub(super) fn conclude(&mut self, round: &Result<(), RoundError>) -> Duration {
        match round {
            Ok(()) => {
                self.parts.status.following();
                self.endpoints.succeeded();
                self.parts.pace.wait(self.tempo.block_time())
            }
            Err(error) => self.failed(error),
        }
    }

    /// Takes index and journal as the store has them.
    fn load(&mut self) -> Result<(), StoreError> {
        let kept = self.parts.store.load_chain()?;
        let nothing = Snapshot::default();
        let snapshot = kept.as_ref().map_or(&nothing, |kept| &kept.snapshot);
        self.parts.index.replace(snapshot);
        self.live = kept.map(|kept| {
            let tip = BlockId {
                number: kept.cursor.number,
                hash: kept.cursor.hash,
            };
            Replica {
                index: self.parts.index.clone(),
                journal: Journal::restore(tip, kept.journal, self.parts.journal_blocks),
                deployment_hash: kept.cursor.deployment_hash,
            }
        });
        Ok(())
    }

    fn failed(&mut self, error: &RoundError) -> Duration {
        self.parts.metrics.chain_errors.inc();
        self.astray |= matches!(error, RoundError::Store(_));
        let text = Chained(error).to_string();
        if self.parts.status.failing(text.clone()) {
            tracing::warn!(error = text, "the chain cannot be followed; trying again");
        }
        let before = self.endpoints.current();
        let wait = self.endpoints.failed();
        if self.endpoints.current() != before {
            self.parts.metrics.chain_failovers.inc();
        }
        wait
    }

    /// One look at one node, and everything that follows from it.
    pub(super) async fn round(&mut self) -> Result<(), RoundError> {
        if self.astray {
            // Until the store can be read again nothing goes on from here: a next block on top of one that was not kept
            // would leave a hole for good. The clock hears of no head meanwhile, so that nobody is let in before long.
            self.load()?;
            self.astray = false;
        }
        let ledger = self.endpoints.ledger().await?;
        let seen = Instant::now();
        let head = ledger.rpc().latest().await?;
        let moment = moment(&head);
        self.parts.clock.check(moment)?;
        let news = self.catch_up(&ledger, &head).await?;
        self.parts.clock.saw(moment, seen)?;
        self.tempo.saw(moment);
        self.endpoints.saw(&head);
        if news || self.parts.status.newest_final().is_none() {
            self.ask_finalized(&ledger, &head).await;
        }
        if !news && self.endpoints.prefer_newest(&head).await {
            self.parts.metrics.chain_failovers.inc();
        }
        self.show(&head);
        Ok(())
    }

    /// Brings the index to the node's head; true when that was news.
    async fn catch_up(&mut self, ledger: &Ledger, head: &Block) -> Result<bool, RoundError> {
        let mut live = match self.live.take() {
            Some(live) => live,
            None => self.begin(ledger, head, self.parts.index.clone()).await?,
        };
        let deployment = BlockId {
            number: self.first_block(),
            hash: live.deployment_hash,
        };
        let related = relate(ledger.rpc(), &live.journal, head, deployment).await;
        let done = match related {
            Ok(Relation::Same) => Ok(false),
            Ok(Relation::Parts { after }) => {
                self.scratch = None;
                self.parts.status.taken_back_above(after);
                let brought = self.bring(&mut live, ledger, after, head, Keep::InStore);
                brought.await.map(|()| true)
            }
            Ok(Relation::Behind) => Err(RoundError::Behind {
                head: head.number,
                needed: live.tip().number,
            }),
            Ok(Relation::Elsewhere) => {
                self.parts.status.taken_back_above(0);
                self.rebuild(&mut live, ledger, head).await.map(|()| true)
            }
            Err(error) => Err(error),
        };
        self.live = Some(live);
        done
    }

    /// The first block that can hold an event. No transaction is in block 0.
    fn first_block(&self) -> u64 {
        self.parts.deployment.block.max(1)
    }

    /// A replica that stands just before the ledger's first block.
    async fn begin(
        &self,
        ledger: &Ledger,
        head: &Block,
        index: LedgerIndex,
    ) -> Result<Replica, RoundError> {
        let needed = self.first_block();
        let block = ledger.rpc().block(needed).await?;
        let block = block.ok_or(RoundError::Behind {
            head: head.number,
            needed,
        })?;
        let base = BlockId {
            number: needed - 1,
            hash: block.parent,
        };
        Ok(Replica {
            index,
            journal: Journal::starting_at(base, self.parts.journal_blocks),
            deployment_hash: block.hash,
        })
    }

    /// Takes a replica from the last block that it shares with the node to the node's head.
    async fn bring(
        &mut self,
        replica: &mut Replica,
        ledger: &Ledger,
        after: u64,
        head: &Block,
        keep: Keep,
    ) -> Result<(), RoundError> {
        let old = replica.tip().number;
        if after < old {
            self.parts.metrics.chain_reorgs.inc();
            tracing::warn!(
                block.number = after,
                depth = old - after,
                "the chain was reorganised: taking another branch after this block"
            );
        }
        let hash = replica.journal.hash_at(after);
        let mut top = BlockId {
            number: after,
            hash: hash.ok_or(RoundError::Missing(after))?,
        };
        let mut after = after;
        let mut branch = Vec::new();
        let mut progress = Progress::new(after);
        if head.number.saturating_sub(after) > self.parts.blocks_per_request {
            // A node has answered after those that did not; the first blocks take their time.
            progress.tell(&self.parts.status, after, head.number);
        }
        while top.number < head.number {
            let read = self.reader.next(ledger, top, head).await?;
            top = read.last().map_or(top, |block| block.id);
            branch.extend(read);
            progress.tell(&self.parts.status, top.number, head.number);
            // The other branch is taken over when it is as high as the old one, or whole.
            if top.number < old.min(head.number) {
                continue;
            }
            let mut news = false;
            while !branch.is_empty() {
                // A branch in one move, a longer chain block by block.
                let count = if after < replica.tip().number {
                    branch.len()
                } else {
                    1
                };
                let commit = replica.advance(after, branch.drain(..count).collect());
                after = replica.tip().number;
                if keep == Keep::InStore {
                    self.parts.store.commit_chain(&commit)?;
                    news |= !commit.changed.is_empty();
                }
            }
            // Blocks without events may be read again after a power cut; they cost nothing.
            if news {
                self.parts.store.flush().await?;
            }
        }
        Ok(())
    }

    /// Replays everything into a fresh index and swaps it in at once, so that nobody sees half a history. A replay that a
    /// failing node has cut off goes on from there.
    async fn rebuild(
        &mut self,
        live: &mut Replica,
        ledger: &Ledger,
        head: &Block,
    ) -> Result<(), RoundError> {
        let mut scratch = match self.scratch.take() {
            Some(scratch) => scratch,
            None => {
                tracing::error!(
                    block.number = head.number,
                    "the chain's past has changed below the journal: replaying from the deployment"
                );
                self.parts.metrics.chain_rebuilds.inc();
                let index = LedgerIndex::new(live.index.domain());
                self.begin(ledger, head, index).await?
            }
        };
        let deployment = BlockId {
            number: self.first_block(),
            hash: scratch.deployment_hash,
        };
        let after = match relate(ledger.rpc(), &scratch.journal, head, deployment).await? {
            Relation::Parts { after } => after,
            Relation::Same => head.number,
            // The replay has met yet another chain: it begins again with the next round.
            Relation::Behind | Relation::Elsewhere => return Err(RoundError::Moving(head.number)),
        };
        let brought = self.bring(&mut scratch, ledger, after, head, Keep::InMemory);
        if let Err(error) = brought.await {
            self.scratch = Some(scratch);
            return Err(error);
        }
        let snapshot = scratch.index.snapshot();
        let journal = scratch.journal.blocks_above(0);
        let (store, cursor) = (&self.parts.store, scratch.cursor());
        store.replace_chain(cursor, &snapshot, journal)?;
        store.flush().await?;
        live.index.replace(&snapshot);
        live.journal = scratch.journal;
        live.deployment_hash = scratch.deployment_hash;
        Ok(())
    }

    fn show(&self, head: &Block) {
        let gauge = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let metrics = &self.parts.metrics;
        metrics.chain_head_number.set(gauge(head.number));
        metrics.chain_head_timestamp.set(gauge(head.timestamp));
        let last = self.parts.status.newest_final();
        metrics
            .chain_finalized_number
            .set(gauge(last.map_or(0, |block| block.number)));
    }

    /// Asks for the newest final block. Only what is shown depends on it, so a chain without one is no failure.
    async fn ask_finalized(&self, ledger: &Ledger, head: &Block) {
        let Ok(block) = ledger.rpc().finalized().await else {
            return;
        };
        let known = self
            .live
            .as_ref()
            .and_then(|live| live.journal.hash_at(block.number));
        // A node that mixes forks up is not believed.
        if block.number > head.number || known.is_some_and(|hash| hash != block.hash) {
            return;
        }
        self.parts.status.finalized(moment(&block));
    }
}

/// Where what a replica learns is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keep {
    InStore,
    InMemory,
}

fn moment(block: &Block) -> Head {
    Head {
        number: block.number,
        timestamp: block.timestamp,
    }
}
