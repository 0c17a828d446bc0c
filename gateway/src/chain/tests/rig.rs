//! A follower on a store of its own, and what it has to equal.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ashya_contracts::{Deployment, Rpc};
use ashya_protocol::Domain;
use tempfile::TempDir;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::super::{ChainStatus, Follower, FollowerError, FollowerParts, Pace, RoundError};
use super::generated::{Chain, LEDGER};
use super::node::{CHAIN_ID, Node};
use crate::chain_clock::{ChainClock, ClockSource, Freshness};
use crate::ledger_index::{LedgerIndex, Snapshot};
use crate::metrics::Metrics;
use crate::store::{Store, StoreError};

/// Rounds in which a follower must be at the head once all nodes tell the truth.
const PATIENCE: usize = 40;

/// The gateway's side.
pub(super) struct Rig {
    folder: TempDir,
    nodes: Vec<Arc<Node>>,
    pub(super) options: Options,
    pub(super) pace: Pace,
    pub(super) metrics: Metrics,
    pub(super) status: ChainStatus,
    follower: Option<(Follower, Store)>,
    pub(super) index: LedgerIndex,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Options {
    pub(super) deployment: u64,
    pub(super) journal_blocks: usize,
    pub(super) blocks_per_request: u64,
}

/// A journal and requests of few blocks.
pub(super) const OPTIONS: Options = Options {
    deployment: 1,
    journal_blocks: 16,
    blocks_per_request: 10,
};

impl Options {
    pub(super) const fn deployment(self) -> Deployment {
        Deployment {
            chain_id: CHAIN_ID,
            ledger: LEDGER,
            block: self.deployment,
        }
    }
}

fn empty_index() -> LedgerIndex {
    LedgerIndex::new(Domain {
        chain_id: CHAIN_ID,
        ledger: LEDGER,
    })
}

impl Rig {
    pub(super) fn new(nodes: Vec<Arc<Node>>, options: Options) -> Self {
        let mut rig = Self {
            folder: tempfile::tempdir().unwrap(),
            nodes,
            options,
            pace: Pace::every(Duration::from_millis(1)),
            metrics: Metrics::new(),
            status: ChainStatus::default(),
            follower: None,
            index: empty_index(),
        };
        rig.restart();
        rig
    }

    /// Ends the follower at once, and takes up from the store.
    pub(super) fn restart(&mut self) {
        self.follower = None;
        let store = self.store();
        self.index = empty_index();
        let follower = Follower::resume(self.parts(store.clone()));
        self.follower = Some((follower.unwrap(), store));
    }

    /// Why the store cannot be used with another ledger; the follower has ended then.
    pub(super) fn refusal_of(&mut self, deployment: Deployment) -> Option<FollowerError> {
        self.follower = None;
        let parts = self.parts(self.store());
        Follower::resume(FollowerParts {
            deployment,
            ..parts
        })
        .err()
    }

    fn parts(&self, store: Store) -> FollowerParts {
        let freshness = Freshness {
            max_silence: Duration::from_secs(30),
            max_head_age: None,
        };
        FollowerParts {
            rpcs: self
                .nodes
                .iter()
                .map(|node| Rpc::new(&node.url).unwrap())
                .collect(),
            deployment: self.options.deployment(),
            index: self.index.clone(),
            clock: ChainClock::new(ClockSource::Head, freshness),
            store,
            status: self.status.clone(),
            metrics: self.metrics.clone(),
            pace: self.pace,
            blocks_per_request: self.options.blocks_per_request,
            journal_blocks: self.options.journal_blocks,
        }
    }

    fn store(&self) -> Store {
        Store::reopen(&self.folder.path().join("store"))
    }

    /// One round, as the follower's own loop does it, without the waits.
    pub(super) async fn round(&mut self) -> Result<(), RoundError> {
        let (follower, _) = self.follower.as_mut().unwrap();
        let round = follower.round().await;
        follower.conclude(&round);
        round
    }

    /// Time until the next round, after one that went like this.
    pub(super) fn wait_after(&mut self, round: &Result<(), RoundError>) -> Duration {
        self.follower.as_mut().unwrap().0.conclude(round)
    }

    /// Lets the follower follow by itself until the guard is dropped.
    pub(super) fn run(&mut self) -> DropGuard {
        let (follower, _) = self.follower.take().unwrap();
        let shutdown = CancellationToken::new();
        tokio::spawn(follower.run(shutdown.clone()));
        shutdown.drop_guard()
    }

    /// Whether the index is what a fresh replay makes of `chain`.
    pub(super) fn shows(&self, chain: &Chain) -> bool {
        self.index.snapshot() == self.replay(chain)
    }

    /// Lets the follower's last round have failed at the store, and gives the store back.
    pub(super) fn fail_store(&mut self) -> Store {
        let (follower, store) = self.follower.as_mut().unwrap();
        follower.conclude(&Err(RoundError::Store(StoreError::Key)));
        store.clone()
    }

    /// Rounds until the follower is content.
    pub(super) async fn settle(&mut self) {
        let mut last = None;
        for _ in 0..PATIENCE {
            match self.round().await {
                Ok(()) => return,
                Err(error) => last = Some(error),
            }
        }
        panic!("not settled after {PATIENCE} rounds: {last:?}");
    }

    /// Index and store must be what a fresh replay makes of `chain`, up to its end.
    pub(super) fn check_equals(&self, chain: &Chain, context: &str) {
        let expected = self.replay(chain);
        assert_eq!(self.index.snapshot(), expected, "index: {context}");
        let (_, store) = self.follower.as_ref().unwrap();
        let kept = store.load_chain().unwrap().unwrap();
        let tip = chain.last().unwrap();
        assert_eq!(
            (kept.cursor.number, kept.cursor.hash),
            (tip.number, tip.hash),
            "{context}"
        );
        assert_eq!(kept.snapshot, expected, "store: {context}");
        let numbers: Vec<_> = kept.journal.iter().map(|block| block.id.number).collect();
        assert!(
            numbers.len() <= self.options.journal_blocks && numbers.is_sorted(),
            "journal: {context}: {numbers:?}"
        );
    }

    /// Whatever nodes said, the index must be that of a block that exists: one of `chains` up to where the cursor is.
    pub(super) fn check_honest(&self, chains: &[Chain], context: &str) {
        let (_, store) = self.follower.as_ref().unwrap();
        let Some(kept) = store.load_chain().unwrap() else {
            assert_eq!(self.index.snapshot(), Snapshot::default(), "{context}");
            return;
        };
        let at = usize::try_from(kept.cursor.number).unwrap();
        let real = chains.iter().find(|chain| {
            chain
                .get(at)
                .is_some_and(|block| block.hash == kept.cursor.hash)
        });
        let real = real.unwrap_or_else(|| panic!("no chain has block {at}: {context}"));
        self.check_equals(&real[..=at].to_vec(), context);
    }

    /// What a start would find if the power went now.
    pub(super) fn on_disk(&self) -> Option<Snapshot> {
        let copy = tempfile::tempdir().unwrap();
        copy_folder(
            &self.folder.path().join("store"),
            &copy.path().join("store"),
        );
        let store = Store::open(&copy.path().join("store")).unwrap();
        store.load_chain().unwrap().map(|kept| kept.snapshot)
    }

    pub(super) fn replay(&self, chain: &Chain) -> Snapshot {
        let first = usize::try_from(self.options.deployment).unwrap();
        let index = empty_index();
        let blocks = chain.iter().map(|block| block.events.as_slice());
        index.step([], (0..).zip(blocks).skip(first));
        index.snapshot()
    }
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy_folder(&path, &to);
        } else {
            std::fs::copy(&path, &to).unwrap();
        }
    }
}

/// A node that serves `chain`, and a follower that is at its head.
pub(super) async fn follow(chain: &Chain) -> (Arc<Node>, Rig) {
    let node = Arc::new(Node::start(chain.clone(), 1).await);
    let mut rig = Rig::new(vec![Arc::clone(&node)], OPTIONS);
    rig.settle().await;
    rig.check_equals(chain, "at the start");
    (node, rig)
}

/// Waits until something holds.
pub(super) async fn eventually(mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
