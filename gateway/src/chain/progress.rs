use std::time::Duration;

use tokio::time::Instant;

use super::ChainStatus;

/// Time between two words about a long catch-up.
const INTERVAL: Duration = Duration::from_secs(5);

/// Says now and then how far a long catch-up is, and how fast.
#[derive(Debug)]
pub(super) struct Progress {
    first: u64,
    began: Instant,
    told: Instant,
}

/// How far a catch-up is.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Word {
    /// Blocks that are applied.
    done: u64,
    /// Blocks of the whole catch-up.
    of: u64,
    /// Blocks per second since it began.
    speed: f64,
}

impl Progress {
    /// A catch-up that begins after block `first`.
    pub(super) fn new(first: u64) -> Self {
        let now = Instant::now();
        Self {
            first,
            began: now,
            told: now,
        }
    }

    pub(super) fn tell(&mut self, status: &ChainStatus, block: u64, head: u64) {
        status.reading(block, head);
        if let Some(Word { done, of, speed }) = self.word(block, head) {
            tracing::info!(
                block.number = block,
                head.number = head,
                "reading the ledger's past: {done} of {of} blocks, {speed:.0} blocks/s"
            );
        }
    }

    /// What there is to say, when it is time for a word.
    fn word(&mut self, block: u64, head: u64) -> Option<Word> {
        if self.told.elapsed() < INTERVAL {
            return None;
        }
        self.told = Instant::now();
        let done = block.saturating_sub(self.first);
        Some(Word {
            done,
            of: head.saturating_sub(self.first),
            speed: done as f64 / self.began.elapsed().as_secs_f64(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_word_comes_now_and_then_and_says_how_fast_it_goes() {
        let mut progress = Progress::new(100);
        for (millis, block, word) in [
            (4_999, 200, None),
            (1, 200, Some((100, 20.0))),
            (4_999, 300, None),
            (1, 300, Some((200, 20.0))),
            (10_000, 900, Some((800, 40.0))),
        ] {
            tokio::time::advance(Duration::from_millis(millis)).await;
            let word = word.map(|(done, speed)| Word {
                done,
                of: 900,
                speed,
            });
            assert_eq!(progress.word(block, 1_000), word, "at block {block}");
        }
    }

    #[tokio::test]
    async fn the_status_hears_of_every_step() {
        let status = ChainStatus::default();
        Progress::new(100).tell(&status, 101, 900);
        assert_eq!(status.describe(), "reading block 101 of 900");
    }
}
