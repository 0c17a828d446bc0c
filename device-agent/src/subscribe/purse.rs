//! The money: what a subscriber has committed, in payments and gas, and what is left of the budget.

use ashya_contracts::{Fate, SignedTransaction, SubscriptionRecord};
use ashya_protocol::{Hash, Wei};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The books. They are on the disk before any transaction leaves this machine.
///
/// Until its block is final, a transaction counts at the most that it can cost: a reorganisation may mine it again, at a
/// higher fee, and let pass what was refused. Refunds count from then too.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Purse {
    /// What final transactions have cost in all, gas included, refunds taken off.
    spent: Wei,
    /// Transactions that are not final, the oldest first.
    sent: Vec<Sent>,
    /// The lowest number that the next transaction may have.
    next_nonce: u64,
}

/// A transaction that has left this machine, or is about to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Sent {
    pub(crate) purpose: Purpose,
    pub(crate) transaction: SignedTransaction,
    /// Absent while no block holds it.
    pub(crate) mined: Option<Mined>,
}

/// What a transaction is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub(crate) enum Purpose {
    /// A subscription of so many seconds.
    Subscribe { seconds: u64 },
    /// So many seconds more.
    Extend { seconds: u64 },
    /// The rest of a subscription back.
    Cancel { held: SubscriptionRecord },
}

/// What a block says of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Mined {
    /// Height of the block.
    pub(crate) block: u64,
    /// What the gas has cost.
    pub(crate) fee: Wei,
    /// Whether it did what it asked for; if not, its ETH has stayed here.
    pub(crate) passed: bool,
    /// What came back.
    pub(crate) refund: Wei,
}

/// A payment that the budget does not allow. Nothing was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a transaction of up to {needed} wei is more than the {left} wei left of the budget")]
pub(crate) struct OverBudget {
    needed: Wei,
    left: Wei,
}

/// What a look at the chain has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// Nothing.
    None,
    /// A block holds it now.
    Mined(Mined),
    /// The block that held it is no longer in the chain.
    Undone,
    /// Another transaction took its number: it will never be mined.
    Displaced,
}

impl Purse {
    /// What is gone, or may still go.
    pub(crate) fn committed(&self) -> Wei {
        let sent = self.sent.iter().map(|sent| most_of(&sent.transaction));
        sent.fold(self.spent, sum)
    }

    /// What is gone as the chain stands now, refunds taken off.
    pub(crate) fn spent(&self) -> Wei {
        self.sent
            .iter()
            .fold(self.spent, |spent, sent| sent.cost_on(spent))
    }

    /// What is left of a budget.
    pub(crate) fn left(&self, budget: Wei) -> Wei {
        Wei::new(budget.get().saturating_sub(self.committed().get()))
    }

    /// Whether nothing was ever sent.
    pub(crate) fn is_fresh(&self) -> bool {
        self.sent.is_empty() && self.spent == Wei::default()
    }

    /// Transactions that are not final.
    pub(crate) fn sent(&self) -> &[Sent] {
        &self.sent
    }

    /// The oldest transaction that no block holds. While there is one, nothing else is paid.
    pub(crate) fn open(&self) -> Option<&Sent> {
        self.sent.iter().find(|sent| sent.mined.is_none())
    }

    /// The lowest number that the next transaction may have, whatever a node that is behind says.
    pub(crate) fn next_nonce(&self) -> u64 {
        self.next_nonce
    }

    /// Enters a transaction that is about to be sent.
    ///
    /// # Errors
    /// When it could cost more than the budget has left. A cancel is never refused: it brings money back.
    pub(crate) fn enter(
        &mut self,
        budget: Wei,
        purpose: Purpose,
        transaction: SignedTransaction,
    ) -> Result<(), OverBudget> {
        let (needed, left) = (most_of(&transaction), self.left(budget));
        if needed > left && !matches!(purpose, Purpose::Cancel { .. }) {
            return Err(OverBudget { needed, left });
        }
        self.next_nonce = transaction.nonce.saturating_add(1);
        self.sent.push(Sent {
            purpose,
            transaction,
            mined: None,
        });
        Ok(())
    }

    /// Enters what the chain says of a transaction.
    pub(crate) fn learn(&mut self, transaction: Hash, fate: Fate) -> Change {
        let found = self
            .sent
            .iter()
            .position(|sent| sent.transaction.hash == transaction);
        let Some(index) = found else {
            return Change::None;
        };
        let sent = &mut self.sent[index];
        match fate {
            Fate::Open if sent.mined.is_some() => {
                sent.mined = None;
                Change::Undone
            }
            Fate::Open => Change::None,
            Fate::Settled(settled) => {
                let refund = match (sent.purpose, settled.passed, settled.subscription) {
                    (Purpose::Cancel { held }, true, Some(ended)) => refund(held, ended),
                    _ => Wei::default(),
                };
                let mined = Mined {
                    block: settled.receipt.block,
                    fee: settled.receipt.fee,
                    passed: settled.passed,
                    refund,
                };
                if sent.mined.replace(mined) == Some(mined) {
                    Change::None
                } else {
                    Change::Mined(mined)
                }
            }
            Fate::Displaced => {
                self.sent.remove(index);
                Change::Displaced
            }
        }
    }

    /// Closes the books on what is in a final block. The oldest first, so that an open one keeps its place.
    pub(crate) fn close(&mut self, final_height: u64) {
        while let Some(first) = self.sent.first() {
            if first.mined.is_none_or(|mined| mined.block > final_height) {
                return;
            }
            self.spent = first.cost_on(self.spent);
            self.sent.remove(0);
        }
    }
}

impl Sent {
    /// A sum, and what this has cost as the chain stands now; nothing while no block holds it.
    fn cost_on(&self, before: Wei) -> Wei {
        let Some(mined) = self.mined else {
            return before;
        };
        let paid = if mined.passed {
            sum(self.transaction.value, mined.fee)
        } else {
            mined.fee
        };
        Wei::new(sum(before, paid).get().saturating_sub(mined.refund.get()))
    }
}

/// What a cancel brings back: the price of the seconds that are no longer paid for.
pub(crate) fn refund(held: SubscriptionRecord, ended: SubscriptionRecord) -> Wei {
    let unused = held.expiry.saturating_sub(ended.expiry);
    held.price.checked_mul(unused).unwrap_or_default()
}

fn most_of(transaction: &SignedTransaction) -> Wei {
    sum(transaction.value, transaction.most_fee)
}

fn sum(a: Wei, b: Wei) -> Wei {
    Wei::new(a.get().saturating_add(b.get()))
}

#[cfg(test)]
mod tests;
