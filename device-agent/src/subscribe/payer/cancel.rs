//! The way out: time that was not used back into money.

use std::time::Duration;

use ashya_contracts::{ChainError, SubscriptionRecord};
use ashya_protocol::Wei;
use thiserror::Error;
use tokio::time::{Instant, sleep, timeout_at};

use super::{PayError, Payer, RECEIPT_EVERY};
use crate::data::unix_seconds;
use crate::subscribe::news::News;
use crate::subscribe::purse::{Purpose, refund};

/// How long a cancel may take: ten blocks of the main chain.
const PATIENCE: Duration = Duration::from_secs(120);

/// Why the money did not come back yet.
#[derive(Debug, Error)]
pub(crate) enum CancelError {
    /// The books or the chain refuse.
    #[error("the rest could not be cancelled")]
    Pay(#[from] PayError),
    /// The chain was too slow. What was sent is on the disk.
    #[error(
        "the chain gave no answer within {} s: start the same command again with --cancel and stop it; what was sent \
         will be found, and not sent twice",
        PATIENCE.as_secs()
    )]
    TooSlow,
}

impl Payer {
    /// Cancels the live subscription, if there is one that is worth the gas, and waits until the refund is in a block.
    /// Transactions that are on their way come first.
    ///
    /// # Errors
    /// When the chain refuses, or does not answer in time.
    pub(crate) async fn cancel(&mut self) -> Result<(), CancelError> {
        let deadline = Instant::now() + PATIENCE;
        let cancelled = timeout_at(deadline, self.cancel_patiently()).await;
        cancelled.map_err(|_| CancelError::TooSlow)?
    }

    async fn cancel_patiently(&mut self) -> Result<(), CancelError> {
        let mut asked = false;
        loop {
            match self.try_cancel(&mut asked).await {
                Ok(Step::Done) => return Ok(()),
                Ok(Step::Wait) => sleep(RECEIPT_EVERY).await,
                Err(PayError::Chain(error)) if is_passing(&error) => {
                    let pause = self.trouble(&error);
                    sleep(pause).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn try_cancel(&mut self, asked: &mut bool) -> Result<Step, PayError> {
        self.settle().await?;
        if self.account().purse.open().is_some() {
            return Ok(Step::Wait);
        }
        let (wallet, feed) = (self.plan.wallet.address(), self.plan.feed);
        let clock = self.ledger.clock(feed).await?;
        let head = self.ledger.rpc().latest().await?;
        let feed_time = clock.feed_time(unix_seconds().max(head.timestamp));
        let held = self.ledger.subscription(feed, wallet, wallet).await?;
        let Some(held) = held.filter(|held| held.expiry > feed_time) else {
            if !*asked {
                self.tell(&News::NothingToCancel);
            }
            return Ok(Step::Done);
        };
        let wallet = &self.plan.wallet;
        let draft = self
            .ledger
            .draft_cancel(wallet, feed, wallet.address(), wallet.address())
            .await?;
        let (refund, most_fee) = (refund_at(&held, feed_time), draft.most_fee());
        if refund <= most_fee {
            self.tell(&News::NotWorthCancelling { refund, most_fee });
            return Ok(Step::Done);
        }
        *asked = true;
        self.dispatch(Purpose::Cancel { held }, draft).await?;
        Ok(Step::Wait)
    }
}

enum Step {
    Done,
    Wait,
}

/// What a cancel at this second of the feed's time brings back.
fn refund_at(held: &SubscriptionRecord, feed_time: u64) -> Wei {
    let ended = SubscriptionRecord {
        expiry: held.expiry.min(feed_time),
        ..*held
    };
    refund(*held, ended)
}

/// Whether trying again may help.
fn is_passing(error: &ChainError) -> bool {
    matches!(
        error,
        ChainError::Transport(_)
            | ChainError::TimedOut
            | ChainError::Rpc { .. }
            | ChainError::Refused(_)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_back_is_the_price_of_the_seconds_that_are_left() {
        let held = SubscriptionRecord {
            price: Wei::new(1_000),
            start: 100,
            expiry: 700,
        };
        for (feed_time, refund) in [(100, 600_000), (699, 1_000), (700, 0), (900, 0)] {
            let found = refund_at(&held, feed_time);
            assert_eq!(found, Wei::new(refund), "{feed_time}");
        }
    }
}
