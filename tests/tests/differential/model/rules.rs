//! What each function does, and whom it refuses.

mod provider;
mod subscriber;

use ashya_protocol::{Address, FeedId};

use super::{Feed, Model};
use crate::answer::{Event, Outcome, Refusal};
use crate::call::{Call, Operation};

pub(crate) use subscriber::{MAX_AHEAD, MIN_DURATION};

impl Model {
    pub(super) fn apply(&mut self, operation: &Operation) -> Result<Outcome, Refusal> {
        if operation.value != 0 && !operation.call.is_payable() {
            return Err(Refusal::NotPayable);
        }
        let outcome = match &operation.call {
            Call::OpenFeed { .. } => self.open_feed(operation),
            Call::SetPrice { .. }
            | Call::SetPayout { .. }
            | Call::SetPauser { .. }
            | Call::SetListing { .. }
            | Call::SetDevice { .. } => self.set(operation),
            Call::TransferFeed { feed, to } => self.transfer_feed(operation, *feed, *to),
            Call::AcceptFeed { feed } => self.accept_feed(operation, *feed),
            Call::Pause { feed } => self.pause(operation, *feed),
            Call::Resume { feed } => self.resume(operation, *feed),
            Call::Retire { feed } => self.retire(operation, *feed),
            Call::Withdraw { feed, max_buckets } => self.withdraw(operation, *feed, *max_buckets),
            Call::Settle { feed, max_buckets } => {
                let now = self.now;
                let feed = self.known(*feed)?;
                feed.settled = feed.settles_to(now, *max_buckets);
                Ok(Outcome::default())
            }
            Call::Subscribe { .. } => self.subscribe(operation),
            Call::Extend {
                feed,
                beneficiary,
                duration,
            } => self.extend(operation, *feed, *beneficiary, *duration),
            Call::Cancel {
                feed,
                beneficiary,
                to,
            } => self.cancel(operation, *feed, *beneficiary, *to),
        }?;
        self.charge(operation.sender, operation.value);
        Ok(outcome)
    }

    fn known(&mut self, id: FeedId) -> Result<&mut Feed, Refusal> {
        self.feeds.get_mut(&id).ok_or(Refusal::FeedUnknown(id))
    }

    fn owned(&mut self, id: FeedId, caller: Address) -> Result<&mut Feed, Refusal> {
        let feed = self.known(id)?;
        if caller != feed.owner {
            return Err(Refusal::Unauthorized(caller, feed.owner));
        }
        Ok(feed)
    }

    fn pay(&mut self, to: Address, amount: u128) -> Result<(), Refusal> {
        if self.refuses_money(to) {
            return Err(Refusal::PaymentFailed(to, amount));
        }
        *self.wallets.entry(to).or_default() += amount;
        Ok(())
    }

    fn charge(&mut self, who: Address, amount: u128) {
        let wallet = self.wallets.entry(who).or_default();
        *wallet = wallet
            .checked_sub(amount)
            .expect("nobody sends more than they have");
    }
}

fn told(event: Event) -> Outcome {
    Outcome {
        returned: Vec::new(),
        events: vec![event],
    }
}

fn check_unretired(feed: &Feed) -> Result<(), Refusal> {
    feed.retires_at
        .map_or(Ok(()), |at| Err(Refusal::FeedRetired(feed.id, at)))
}

fn check_open(feed: &Feed) -> Result<(), Refusal> {
    check_unretired(feed)?;
    feed.pause().map_or(Ok(()), |pause| {
        Err(Refusal::FeedPaused(feed.id, pause.from))
    })
}

fn check_price(price: u128) -> Result<(), Refusal> {
    if price == 0 {
        return Err(Refusal::ZeroPrice);
    }
    Ok(())
}

fn check_address(address: Address) -> Result<(), Refusal> {
    if address == Address::ZERO {
        return Err(Refusal::ZeroAddress);
    }
    Ok(())
}
