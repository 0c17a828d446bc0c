use std::time::Duration;

use ashya_contracts::{Block, Deployment, Ledger, Rpc};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::{Pace, RoundError};
use crate::backoff::Backoff;
use crate::defaults::LOCAL_CHAIN_ID;

/// A node this many blocks ahead of the one that is asked is asked instead.
const LAG_BLOCKS: u64 = 3;
/// Time between two looks whether another node is ahead.
const LAG_CHECK: Duration = Duration::from_secs(15);

/// The nodes that may be asked. One is asked until it fails or stays behind; a whole round is asked of the same one, so
/// that no step mixes two forks.
#[derive(Debug)]
pub(super) struct Endpoints {
    deployment: Deployment,
    endpoints: Vec<Endpoint>,
    current: usize,
    /// When the others were last asked for their heads, or the head last moved.
    compared: Instant,
    /// Height of the last head that was followed to; none after a failure.
    newest: Option<u64>,
}

#[derive(Debug)]
struct Endpoint {
    rpc: Rpc,
    /// The ledger, once the node was seen to be on the right chain.
    ledger: Option<Ledger>,
    heads: Option<watch::Receiver<u64>>,
    /// Time between two questions for its height, where it does not tell of heads by itself.
    peek: Option<Duration>,
    backoff: Backoff,
    rests_until: Option<Instant>,
}

impl Endpoints {
    pub(super) fn new(rpcs: Vec<Rpc>, deployment: Deployment, pace: Pace) -> Self {
        let is_own_chain = deployment.chain_id == LOCAL_CHAIN_ID;
        let endpoints = rpcs.into_iter().map(|rpc| Endpoint {
            heads: rpc.heads(),
            peek: pace.peek(is_own_chain || rpc.is_on_this_machine()),
            rpc,
            ledger: None,
            backoff: Backoff::new(),
            rests_until: None,
        });
        Self {
            deployment,
            endpoints: endpoints.collect(),
            current: 0,
            compared: Instant::now(),
            newest: None,
        }
    }

    /// The ledger by the node that is asked now, after a look at which chain the node is on.
    pub(super) async fn ledger(&mut self) -> Result<Ledger, RoundError> {
        self.ledger_at(self.current).await
    }

    /// Notes that the node answered well.
    pub(super) fn succeeded(&mut self) {
        let endpoint = &mut self.endpoints[self.current];
        endpoint.backoff.reset();
        endpoint.rests_until = None;
    }

    /// The number of the node that is asked now.
    pub(super) const fn current(&self) -> usize {
        self.current
    }

    /// Lets the node rest and turns to another. Gives back the time until there is one to ask.
    pub(super) fn failed(&mut self) -> Duration {
        let now = Instant::now();
        let endpoint = &mut self.endpoints[self.current];
        // Whatever answers there next may be another node.
        endpoint.ledger = None;
        self.newest = None;
        endpoint.rests_until = Some(now + endpoint.backoff.next());
        let rests: Vec<_> = self.endpoints.iter().map(|one| one.rests_until).collect();
        let (next, wait) = choose(self.current, &rests, now);
        self.current = next;
        wait
    }

    /// Notes the head up to which everything is applied.
    pub(super) fn saw(&mut self, head: &Block) {
        if self.newest.replace(head.number) != Some(head.number) {
            self.compared = Instant::now();
        }
    }

    /// Turns to another node when the present one stays behind it; true when it did.
    pub(super) async fn prefer_newest(&mut self, head: &Block) -> bool {
        if !self.stands_still() {
            return false;
        }
        self.compared = Instant::now();
        for at in 0..self.endpoints.len() {
            if at == self.current {
                continue;
            }
            let Ok(ledger) = self.ledger_at(at).await else {
                continue;
            };
            let ahead = ledger.rpc().latest().await;
            if ahead.is_ok_and(|other| other.number >= head.number + LAG_BLOCKS) {
                tracing::warn!(
                    block.number = head.number,
                    "the node is behind another: asking that one"
                );
                self.current = at;
                return true;
            }
        }
        false
    }

    /// Whether the head has not moved for so long that the others are worth a look.
    fn stands_still(&self) -> bool {
        self.compared.elapsed() >= LAG_CHECK
    }

    /// Waits until the node tells of a new head, or one that is near has one when it is asked; for ever where neither
    /// is to be had, or the node has failed.
    pub(super) async fn new_head(&mut self) {
        let endpoint = &mut self.endpoints[self.current];
        if let Some(heads) = &mut endpoint.heads {
            if heads.changed().await.is_ok() {
                return;
            }
        } else if let (Some(peek), Some(newest)) = (endpoint.peek, self.newest) {
            loop {
                sleep(peek).await;
                match endpoint.rpc.height().await {
                    Ok(height) if height == newest => {}
                    Ok(_) => return,
                    // The next look finds out what is wrong.
                    Err(_) => break,
                }
            }
        }
        std::future::pending::<()>().await;
    }

    async fn ledger_at(&mut self, at: usize) -> Result<Ledger, RoundError> {
        let endpoint = &mut self.endpoints[at];
        if let Some(ledger) = &endpoint.ledger {
            return Ok(ledger.clone());
        }
        let expected = self.deployment.chain_id;
        let found = endpoint.rpc.chain_id().await?;
        if found != expected {
            return Err(RoundError::OtherChain { found, expected });
        }
        let address = self.deployment.ledger;
        let ledger = Ledger::connect(endpoint.rpc.clone(), address).await?;
        tracing::info!(chain.id = found, ledger = %address, node.number = at, "following the ledger");
        endpoint.ledger = Some(ledger.clone());
        Ok(ledger)
    }
}

/// The node to ask next, and the time to wait before: the first after the present one that does not rest, else the one
/// that has rested soonest.
fn choose(current: usize, rests: &[Option<Instant>], now: Instant) -> (usize, Duration) {
    let after = |offset| (current + offset) % rests.len();
    let wait =
        |at: usize| rests[at].map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
    let order = (1..=rests.len()).map(after);
    // The first of equals is taken.
    let next = order.min_by_key(|at| wait(*at)).unwrap_or(current);
    (next, wait(next))
}

#[cfg(test)]
mod tests {
    use ashya_protocol::{Address, Hash};

    use super::*;
    use crate::defaults::BACKOFF_MAX;

    fn endpoints(urls: &[&str], chain_id: u64) -> Endpoints {
        let deployment = Deployment {
            chain_id,
            ledger: Address::ZERO,
            block: 1,
        };
        let rpcs = urls.iter().map(|url| Rpc::new(&url.parse().unwrap()));
        let rpcs = rpcs.collect::<Result<_, _>>().unwrap();
        Endpoints::new(rpcs, deployment, Pace::public())
    }

    fn head(number: u64) -> Block {
        Block {
            number,
            hash: Hash::ZERO,
            parent: Hash::ZERO,
            timestamp: 0,
            logs_bloom: None,
        }
    }

    #[tokio::test]
    async fn a_node_is_near_on_this_machine_or_on_a_chain_of_ones_own() {
        for (url, chain_id, is_near) in [
            ("http://127.0.0.1:8545", 1, true),
            ("http://127.0.0.1:8545", LOCAL_CHAIN_ID, true),
            ("http://192.0.2.1:8545", LOCAL_CHAIN_ID, true),
            ("http://192.0.2.1:8545", 1, false),
        ] {
            let endpoints = endpoints(&[url], chain_id);
            let peeks = endpoints.endpoints[0].peek.is_some();
            assert_eq!(peeks, is_near, "{url} on chain {chain_id}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn two_nodes_that_fail_are_asked_in_turn() {
        let mut endpoints = endpoints(&["http://192.0.2.1", "http://192.0.2.2"], 1);
        for current in [1, 0, 1, 0] {
            endpoints.failed();
            assert_eq!(endpoints.current(), current);
            tokio::time::advance(BACKOFF_MAX).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_stands_still_makes_one_look_around() {
        let mut endpoints = endpoints(&["http://192.0.2.1", "http://192.0.2.2"], 1);
        for (number, is_new) in [(5, true), (5, false), (6, true), (4, true), (4, false)] {
            tokio::time::advance(Duration::from_secs(1)).await;
            let before = endpoints.compared;
            endpoints.saw(&head(number));
            assert_eq!(endpoints.compared > before, is_new, "{number}");
        }
        let instant = Duration::from_millis(1);
        tokio::time::advance(LAG_CHECK - instant - Duration::from_secs(1)).await;
        assert!(!endpoints.stands_still());
        tokio::time::advance(instant).await;
        assert!(endpoints.stands_still());
        endpoints.failed();
        assert_eq!(endpoints.newest, None, "another node may be behind");
    }

    #[test]
    fn another_node_is_chosen_before_the_same_is_asked_again() {
        let now = Instant::now();
        let rests = |seconds: &[u64]| -> Vec<_> {
            let instants = seconds.iter().map(|seconds| match seconds {
                0 => None,
                seconds => Some(now + Duration::from_secs(*seconds)),
            });
            instants.collect()
        };
        for (name, current, resting, next, wait) in [
            ("one alone", 0, &[4][..], 0, 4),
            ("the next", 0, &[4, 0, 0], 1, 0),
            ("around the end", 2, &[0, 0, 4], 0, 0),
            ("past one that rests", 0, &[4, 2, 0], 2, 0),
            ("all rest: the soonest", 0, &[4, 3, 2], 2, 2),
            ("all rest: the same again", 1, &[4, 1, 2], 1, 1),
        ] {
            let expected = (next, Duration::from_secs(wait));
            assert_eq!(choose(current, &rests(resting), now), expected, "{name}");
        }
    }
}
