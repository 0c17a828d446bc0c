//! What became of transactions, and the same ones sent again: never another in their place.

use std::time::Duration;

use ashya_contracts::{ChainError, Fate, SignedTransaction};
use tokio::time::Instant;

use super::{PayError, Payer};
use crate::causes::causes;
use crate::subscribe::book::BookError;
use crate::subscribe::news::News;
use crate::subscribe::purse::{Change, Purpose, Sent};

/// Time after which a transaction that no block holds is handed to the node again.
const SEND_AGAIN_AFTER: Duration = Duration::from_secs(10);

impl Payer {
    /// Enters what has become of the transactions that are not final, and sends open ones again.
    pub(super) async fn settle(&mut self) -> Result<(), PayError> {
        let sent = self.account().purse.sent().to_vec();
        if sent.is_empty() {
            return Ok(());
        }
        let again = self
            .sent_at
            .is_none_or(|at| at.elapsed() >= SEND_AGAIN_AFTER);
        for sent in &sent {
            let wallet = self.plan.wallet.address();
            let fate = self.ledger.fate(wallet, &sent.transaction).await?;
            let change = self.book.change(|account| {
                let change = account.purse.learn(sent.transaction.hash, fate);
                let failed = match change {
                    Change::Mined(mined) => !mined.passed,
                    Change::Displaced => true,
                    Change::None | Change::Undone => false,
                };
                // There is nothing that the gateway would have to honour.
                if failed && matches!(sent.purpose, Purpose::Subscribe { .. }) {
                    account.honoured = true;
                }
                Ok::<_, BookError>(change)
            })?;
            self.tell_change(sent, change);
            if fate == Fate::Open && (again || change == Change::Undone) {
                self.send(&sent.transaction).await;
            }
        }
        let height = self.ledger.final_height().await?;
        self.book.change(|account| {
            account.purse.close(height);
            Ok::<_, BookError>(())
        })?;
        Ok(())
    }

    /// Hands a transaction to the node. Whatever the node says, the chain alone tells what becomes of it.
    pub(super) async fn send(&mut self, transaction: &SignedTransaction) {
        self.sent_at = Some(Instant::now());
        match self.ledger.send(transaction).await {
            Ok(()) => {}
            // Most nodes say so of what they have already.
            Err(error @ ChainError::Rpc { .. }) => {
                tracing::debug!(error = %causes(&error), "the node did not take a transaction");
            }
            Err(error) => self.tell(&News::Unsure {
                transaction: transaction.hash,
                reason: causes(&error),
            }),
        }
    }

    fn tell_change(&self, sent: &Sent, change: Change) {
        let transaction = sent.transaction.hash;
        let news = match change {
            Change::None => return,
            Change::Undone => News::Undone { transaction },
            Change::Displaced => News::Displaced { transaction },
            Change::Mined(mined) if !mined.passed => News::Reverted {
                transaction,
                fee: mined.fee,
            },
            Change::Mined(mined) if matches!(sent.purpose, Purpose::Cancel { .. }) => {
                News::Cancelled {
                    refund: mined.refund,
                    fee: mined.fee,
                    transaction,
                }
            }
            Change::Mined(mined) => News::Paid {
                what: words(sent.purpose).0,
                value: sent.transaction.value,
                fee: mined.fee,
                transaction,
                block: mined.block,
                spent: self.account().purse.spent(),
                left: self.account().purse.left(self.plan.budget),
            },
        };
        self.tell(&news);
    }
}

/// What a transaction is called, and the seconds that it buys.
pub(super) fn words(purpose: Purpose) -> (&'static str, u64) {
    match purpose {
        Purpose::Subscribe { seconds } => ("subscribe", seconds),
        Purpose::Extend { seconds } => ("extend", seconds),
        Purpose::Cancel { .. } => ("cancel", 0),
    }
}
