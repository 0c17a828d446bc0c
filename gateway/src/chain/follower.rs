use std::time::Duration;

use ashya_contracts::{Block, ChainError, Deployment, Ledger, LedgerEvent, Rpc};
use ashya_protocol::rest::Head;
use ashya_protocol::{Address, Hash};
use thiserror::Error;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::ChainStatus;
use super::backoff::Backoff;
use crate::api::Chained;
use crate::chain_clock::{ChainClock, HeadFromTheFuture};
use crate::ledger_index::{Changed, LedgerIndex};
use crate::metrics::Metrics;
use crate::store::{ChainCommit, Cursor, Extent, LedgerIdentity, Store, StoreError};

/// Time between two words about a long catch-up.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(5);

/// Reads the ledger's events block by block and applies them.
///
/// ```text
///  head ──► known? ──► same past? ──► events of the new blocks ──► index ──► store ──► clock
///                          └─ no: replay from the deployment into a fresh index, then swap it in
/// ```
///
/// The clock hears of a head only when everything up to it is applied, so a current clock means a current index.
#[derive(Debug)]
pub(crate) struct Follower {
    parts: FollowerParts,
    /// The last block whose events are applied and kept.
    cursor: Option<Cursor>,
    /// The ledger, once the node was seen to be on the right chain.
    ledger: Option<Ledger>,
    /// Blocks in the next request for logs; shrinks when the node refuses, and grows back.
    range: u64,
}

/// What a [`Follower`] works on.
#[derive(Debug)]
pub(crate) struct FollowerParts {
    pub(crate) rpc: Rpc,
    pub(crate) deployment: Deployment,
    pub(crate) index: LedgerIndex,
    pub(crate) clock: ChainClock,
    pub(crate) store: Store,
    pub(crate) status: ChainStatus,
    pub(crate) metrics: Metrics,
    /// Time between looks at the head.
    pub(crate) poll: Duration,
    /// Most blocks in one request for logs.
    pub(crate) blocks_per_request: u64,
}

/// Why a store cannot be used with a ledger.
#[derive(Debug, Error)]
pub enum FollowerError {
    /// The store belongs to another ledger.
    #[error(
        "the store belongs to ledger {known_ledger} on chain {known_chain}, not to {ledger} on chain {chain}: give another --data folder"
    )]
    OtherLedger {
        /// The store's ledger.
        known_ledger: Address,
        /// The store's chain.
        known_chain: u64,
        /// The configured ledger.
        ledger: Address,
        /// The configured chain.
        chain: u64,
    },
    /// The store failed.
    #[error("the chain index cannot be read")]
    Store(#[from] StoreError),
}

/// Why one round failed; the next may not.
#[derive(Debug, Error)]
enum RoundError {
    #[error("the node failed")]
    Node(#[from] ChainError),
    #[error("the node is on chain {found}, expected chain {expected}")]
    OtherChain { found: u64, expected: u64 },
    #[error("the node is behind: its head is block {head}, block {needed} is needed")]
    Behind { head: u64, needed: u64 },
    #[error("block {0} changed while it was read")]
    Moving(u64),
    #[error(transparent)]
    Future(#[from] HeadFromTheFuture),
    #[error("the chain index cannot be written")]
    Store(#[from] StoreError),
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
        let cursor = parts.store.load_chain()?.map(|(cursor, snapshot)| {
            parts.index.replace(snapshot);
            cursor
        });
        Ok(Self {
            range: parts.blocks_per_request,
            parts,
            cursor,
            ledger: None,
        })
    }

    /// Follows until `shutdown`, whatever the node does.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        let mut backoff = Backoff::new();
        loop {
            let round = tokio::select! {
                () = shutdown.cancelled() => return,
                round = self.round() => round,
            };
            let wait = match round {
                Ok(()) => {
                    self.parts.status.following();
                    backoff.reset();
                    self.parts.poll
                }
                Err(error) => self.failed(&error, &mut backoff),
            };
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    fn failed(&mut self, error: &RoundError, backoff: &mut Backoff) -> Duration {
        // Whatever answers next may be another node.
        self.ledger = None;
        self.parts.metrics.chain_errors.inc();
        let text = Chained(error).to_string();
        if self.parts.status.failing(text.clone()) {
            tracing::warn!(error = text, "the chain cannot be followed; trying again");
        }
        backoff.next()
    }

    async fn round(&mut self) -> Result<(), RoundError> {
        let ledger = self.ledger().await?;
        let seen = Instant::now();
        let head = ledger.rpc().latest().await?;
        let moment = Head {
            number: head.number,
            timestamp: head.timestamp,
        };
        self.parts.clock.check(moment)?;
        match self.cursor {
            Some(cursor) if (cursor.number, cursor.hash) == (head.number, head.hash) => {}
            Some(cursor)
                if same_past(&ledger, cursor, &head, self.parts.deployment.block).await? =>
            {
                self.extend(&ledger, cursor, &head).await?;
            }
            Some(_) => self.rebuild(&ledger, &head).await?,
            None => {
                let start = self.before_deployment(&ledger, &head).await?;
                self.extend(&ledger, start, &head).await?;
            }
        }
        self.parts.clock.saw(moment, seen)?;
        let gauge = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        self.parts.metrics.chain_head_number.set(gauge(head.number));
        self.parts
            .metrics
            .chain_head_timestamp
            .set(gauge(head.timestamp));
        Ok(())
    }

    /// The ledger, after a look at which chain the node is on.
    async fn ledger(&mut self) -> Result<Ledger, RoundError> {
        if let Some(ledger) = &self.ledger {
            return Ok(ledger.clone());
        }
        let expected = self.parts.deployment.chain_id;
        let found = self.parts.rpc.chain_id().await?;
        if found != expected {
            return Err(RoundError::OtherChain { found, expected });
        }
        let address = self.parts.deployment.ledger;
        let ledger = Ledger::connect(self.parts.rpc.clone(), address).await?;
        tracing::info!(chain.id = found, ledger = %address, "following the ledger");
        self.ledger = Some(ledger.clone());
        Ok(ledger)
    }

    /// A cursor just before the ledger's first block.
    async fn before_deployment(&self, ledger: &Ledger, head: &Block) -> Result<Cursor, RoundError> {
        let needed = self.parts.deployment.block;
        let block = ledger.rpc().block(needed).await?;
        let block = block.ok_or(RoundError::Behind {
            head: head.number,
            needed,
        })?;
        Ok(Cursor {
            number: needed.saturating_sub(1),
            hash: block.parent,
            deployment_hash: block.hash,
        })
    }

    /// Applies the blocks after `from` as they come.
    async fn extend(
        &mut self,
        ledger: &Ledger,
        from: Cursor,
        head: &Block,
    ) -> Result<(), RoundError> {
        let mut cursor = from;
        let mut progress = Progress::new();
        while cursor.number < head.number {
            let (next, events) = self.read_range(ledger, cursor, head).await?;
            let changed = self.parts.index.apply(&events);
            self.keep(next, &changed, Extent::Changes).await?;
            cursor = next;
            self.cursor = Some(cursor);
            progress.tell(&self.parts.status, cursor.number, head.number);
        }
        Ok(())
    }

    /// Replays everything into a fresh index and swaps it in at once, so that nobody sees half a history.
    async fn rebuild(&mut self, ledger: &Ledger, head: &Block) -> Result<(), RoundError> {
        tracing::error!(
            block.number = head.number,
            "the chain's past has changed: rebuilding the index from the deployment"
        );
        self.parts.metrics.chain_rebuilds.inc();
        let scratch = LedgerIndex::new(self.parts.index.domain());
        let mut cursor = self.before_deployment(ledger, head).await?;
        let mut progress = Progress::new();
        while cursor.number < head.number {
            let (next, events) = self.read_range(ledger, cursor, head).await?;
            scratch.apply(&events);
            cursor = next;
            progress.tell(&self.parts.status, cursor.number, head.number);
        }
        let snapshot = scratch.snapshot();
        self.keep(cursor, &snapshot, Extent::Whole).await?;
        self.parts.index.replace(snapshot);
        self.cursor = Some(cursor);
        Ok(())
    }

    /// Reads the events of the next range of blocks, fewer blocks at a time when the node refuses.
    async fn read_range(
        &mut self,
        ledger: &Ledger,
        cursor: Cursor,
        head: &Block,
    ) -> Result<(Cursor, Vec<LedgerEvent>), RoundError> {
        let from = cursor.number + 1;
        loop {
            let to = head.number.min(from + self.range - 1);
            match read(ledger, from, to, head).await {
                Ok((hash, events)) => {
                    self.range = (self.range * 2).min(self.parts.blocks_per_request);
                    let next = Cursor {
                        number: to,
                        hash,
                        ..cursor
                    };
                    return Ok((next, events));
                }
                Err(RoundError::Node(error)) if to > from => {
                    self.range = (to - from).div_ceil(2);
                    tracing::debug!(%error, blocks = self.range, "asking for fewer blocks at a time");
                    // A node that said no may say yes to less; one that did not answer is left alone for a while.
                    if matches!(error, ChainError::Transport { .. }) {
                        return Err(error.into());
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn keep(
        &self,
        cursor: Cursor,
        changed: &Changed,
        extent: Extent,
    ) -> Result<(), StoreError> {
        self.parts.store.commit_chain(&ChainCommit {
            cursor,
            changed,
            extent,
        })?;
        // Blocks without events may be read again after a power cut; they cost nothing.
        if changed.is_empty() && extent == Extent::Changes {
            return Ok(());
        }
        self.parts.store.flush().await
    }
}

/// Reads the events of blocks `from` to `to`, and the hash of `to` as of the same moment.
async fn read(
    ledger: &Ledger,
    from: u64,
    to: u64,
    head: &Block,
) -> Result<(Hash, Vec<LedgerEvent>), RoundError> {
    let logged = ledger.events(from, to).await?;
    let hash = if to == head.number {
        head.hash
    } else {
        let block = ledger.rpc().block(to).await?;
        block.ok_or(RoundError::Moving(to))?.hash
    };
    let moved = logged
        .iter()
        .any(|log| log.block == to && log.block_hash != hash);
    if moved {
        return Err(RoundError::Moving(to));
    }
    Ok((hash, logged.into_iter().map(|log| log.event).collect()))
}

/// Whether the node's chain still holds the block up to which events are applied.
async fn same_past(
    ledger: &Ledger,
    cursor: Cursor,
    head: &Block,
    deployment: u64,
) -> Result<bool, RoundError> {
    if head.number == cursor.number + 1 {
        return Ok(head.parent == cursor.hash);
    }
    if head.number > cursor.number {
        let block = ledger.rpc().block(cursor.number).await?;
        return Ok(block.is_some_and(|block| block.hash == cursor.hash));
    }
    if head.number == cursor.number {
        return Ok(head.hash == cursor.hash);
    }
    // A shorter chain: a node that is behind, unless its beginning is another one.
    let first = ledger.rpc().block(deployment).await?;
    match first {
        Some(first) if first.hash != cursor.deployment_hash => Ok(false),
        _ => Err(RoundError::Behind {
            head: head.number,
            needed: cursor.number,
        }),
    }
}

/// Says now and then how far a long catch-up is.
struct Progress {
    told: Instant,
}

impl Progress {
    fn new() -> Self {
        Self {
            told: Instant::now(),
        }
    }

    fn tell(&mut self, status: &ChainStatus, block: u64, head: u64) {
        status.reading(block, head);
        if self.told.elapsed() >= PROGRESS_INTERVAL {
            self.told = Instant::now();
            tracing::info!(
                block.number = block,
                head.number = head,
                "reading the ledger's past"
            );
        }
    }
}
