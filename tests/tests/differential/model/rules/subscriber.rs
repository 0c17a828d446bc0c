use ashya_protocol::{Address, FeedId};

use super::{check_address, check_open};
use crate::answer::{Outcome, Refusal};
use crate::call::{Call, Operation};
use crate::model::feed::Subscription;
use crate::model::{Feed, Model};
use crate::words::Word;

/// Shortest time that can be bought, in seconds.
pub(crate) const MIN_DURATION: u64 = 60;
/// How far ahead an end may lie, in seconds.
pub(crate) const MAX_AHEAD: u64 = 366 * 86_400;

impl Model {
    pub(super) fn subscribe(&mut self, operation: &Operation) -> Result<Outcome, Refusal> {
        let Call::Subscribe {
            feed: id,
            beneficiary,
            duration,
            max_price,
            listing,
        } = operation.call
        else {
            unreachable!("the caller has matched the call")
        };
        let now = self.now;
        let feed = self.known(id)?;
        check_open(feed)?;
        check_address(beneficiary)?;
        let start = feed.time(now);
        if let Some(index) = feed.latest(operation.sender, beneficiary) {
            let end = feed.subscriptions[index].end;
            if end > start {
                return Err(Refusal::SubscriptionLive(end, start));
            }
        }
        if feed.price > max_price {
            return Err(Refusal::PriceAboveMax(feed.price, max_price));
        }
        if feed.listing != listing {
            return Err(Refusal::ListingMismatch(feed.listing, listing));
        }
        check_duration(duration, MAX_AHEAD)?;
        check_payment(operation.value, feed.price, duration)?;
        feed.check_rate(feed.price)?;
        feed.subscriptions.push(Subscription {
            payer: operation.sender,
            beneficiary,
            price: feed.price,
            start,
            end: start + duration,
            cancelled: false,
        });
        Ok(Outcome {
            returned: vec![(start + duration).into()],
            events: vec![feed.subscription_set(feed.subscriptions.len() - 1)],
        })
    }

    pub(super) fn extend(
        &mut self,
        operation: &Operation,
        id: FeedId,
        beneficiary: Address,
        duration: u64,
    ) -> Result<Outcome, Refusal> {
        let now = self.now;
        let feed = self.known(id)?;
        check_open(feed)?;
        let time = feed.time(now);
        let (index, end) = live(feed, operation.sender, beneficiary, time)?;
        let price = feed.subscriptions[index].price;
        if price != feed.price {
            return Err(Refusal::PriceChanged(price, feed.price));
        }
        check_duration(duration, MAX_AHEAD - (end - time))?;
        check_payment(operation.value, price, duration)?;
        feed.subscriptions[index].end = end + duration;
        Ok(Outcome {
            returned: vec![(end + duration).into()],
            events: vec![feed.subscription_set(index)],
        })
    }

    pub(super) fn cancel(
        &mut self,
        operation: &Operation,
        id: FeedId,
        beneficiary: Address,
        to: Address,
    ) -> Result<Outcome, Refusal> {
        let now = self.now;
        let feed = self.known(id)?;
        check_address(to)?;
        let time = feed.time(now);
        let (index, end) = live(feed, operation.sender, beneficiary, time)?;
        let subscription = &mut feed.subscriptions[index];
        let refund = subscription.price * u128::from(end - time);
        subscription.end = time;
        subscription.cancelled = true;
        let set = feed.subscription_set(index);
        self.pay(to, refund)?;
        Ok(Outcome {
            returned: vec![Word::from(refund)],
            events: vec![set],
        })
    }
}

fn live(
    feed: &Feed,
    payer: Address,
    beneficiary: Address,
    time: u64,
) -> Result<(usize, u64), Refusal> {
    let index = feed
        .latest(payer, beneficiary)
        .ok_or(Refusal::SubscriptionNotLive(0, time))?;
    let end = feed.subscriptions[index].end;
    if end <= time {
        return Err(Refusal::SubscriptionNotLive(end, time));
    }
    Ok((index, end))
}

fn check_duration(duration: u64, maximum: u64) -> Result<(), Refusal> {
    if !(MIN_DURATION..=maximum).contains(&duration) {
        return Err(Refusal::DurationOutOfBounds(
            duration,
            MIN_DURATION,
            maximum,
        ));
    }
    Ok(())
}

fn check_payment(sent: u128, price: u128, duration: u64) -> Result<(), Refusal> {
    let expected = price * u128::from(duration);
    if sent != expected {
        return Err(Refusal::WrongPayment(sent, expected));
    }
    Ok(())
}
