use ashya_protocol::{Address, FeedId, FeedName, Signature};

use super::{check_address, check_open, check_price, check_unretired, told};
use crate::answer::{Event, Outcome, Refusal};
use crate::call::{Call, Operation, feed_id};
use crate::model::feed::{HOUR, Pause};
use crate::model::{Feed, Model};

impl Model {
    pub(super) fn open_feed(&mut self, operation: &Operation) -> Result<Outcome, Refusal> {
        let Call::OpenFeed {
            device,
            name,
            price,
            payout,
            pauser,
            listing,
            deadline,
            signature,
        } = &operation.call
        else {
            unreachable!("the caller has matched the call")
        };
        let id = feed_id(*device, *name);
        if self.feeds.contains_key(&id) {
            return Err(Refusal::FeedExists(id));
        }
        if !is_name(name) {
            return Err(Refusal::InvalidName(*name));
        }
        check_price(*price)?;
        check_address(*payout)?;
        self.check_consent(*device, name, operation.sender, *deadline, signature)?;
        let feed = Feed {
            id,
            name: *name,
            device: *device,
            owner: operation.sender,
            pending_owner: Address::ZERO,
            price: *price,
            payout: *payout,
            pauser: *pauser,
            listing: *listing,
            base: self.now,
            pauses: Vec::new(),
            retires_at: None,
            subscriptions: Vec::new(),
            withdrawn: 0,
            settled: 0,
        };
        let opened = Event {
            signature: "FeedOpened(bytes32,address,bytes32,address,uint64)",
            indexed: vec![id.into(), (*device).into(), operation.sender.into()],
            data: vec![(*name).into(), self.now.into()],
        };
        let events = vec![opened, feed.feed_set()];
        self.feeds.insert(id, feed);
        Ok(Outcome {
            returned: vec![id.into()],
            events,
        })
    }

    pub(super) fn set(&mut self, operation: &Operation) -> Result<Outcome, Refusal> {
        let call = &operation.call;
        let feed = self.owned(call.feed(), operation.sender)?;
        if !matches!(call, Call::SetPayout { .. }) {
            check_unretired(feed)?;
        }
        match call {
            Call::SetPrice { price, .. } => {
                check_price(*price)?;
                feed.price = *price;
            }
            Call::SetPayout { payout, .. } => {
                check_address(*payout)?;
                feed.payout = *payout;
            }
            Call::SetPauser { pauser, .. } => feed.pauser = *pauser,
            Call::SetListing { listing, .. } => feed.listing = *listing,
            Call::SetDevice {
                device,
                deadline,
                signature,
                ..
            } => {
                let name = feed.name;
                self.check_consent(*device, &name, operation.sender, *deadline, signature)?;
                self.known(call.feed())?.device = *device;
            }
            _ => unreachable!("the caller has matched the call"),
        }
        Ok(told(self.known(call.feed())?.feed_set()))
    }

    pub(super) fn transfer_feed(
        &mut self,
        operation: &Operation,
        id: FeedId,
        to: Address,
    ) -> Result<Outcome, Refusal> {
        let feed = self.owned(id, operation.sender)?;
        feed.pending_owner = to;
        Ok(told(Event {
            signature: "FeedTransferStarted(bytes32,address,address)",
            indexed: vec![id.into(), operation.sender.into(), to.into()],
            data: Vec::new(),
        }))
    }

    pub(super) fn accept_feed(
        &mut self,
        operation: &Operation,
        id: FeedId,
    ) -> Result<Outcome, Refusal> {
        let feed = self.known(id)?;
        if operation.sender != feed.pending_owner {
            return Err(Refusal::Unauthorized(operation.sender, feed.pending_owner));
        }
        let transferred = Event {
            signature: "FeedTransferred(bytes32,address,address)",
            indexed: vec![id.into(), feed.owner.into(), operation.sender.into()],
            data: Vec::new(),
        };
        feed.owner = operation.sender;
        feed.payout = operation.sender;
        feed.pending_owner = Address::ZERO;
        feed.pauser = Address::ZERO;
        Ok(Outcome {
            returned: Vec::new(),
            events: vec![transferred, feed.feed_set()],
        })
    }

    pub(super) fn pause(&mut self, operation: &Operation, id: FeedId) -> Result<Outcome, Refusal> {
        let now = self.now;
        let feed = self.known(id)?;
        if ![feed.owner, feed.pauser].contains(&operation.sender) {
            return Err(Refusal::Unauthorized(operation.sender, feed.owner));
        }
        check_open(feed)?;
        feed.pauses.push(Pause {
            from: now,
            until: None,
            by: operation.sender,
        });
        Ok(told(feed.feed_clock()))
    }

    pub(super) fn resume(&mut self, operation: &Operation, id: FeedId) -> Result<Outcome, Refusal> {
        let now = self.now;
        let feed = self.known(id)?;
        let Some(by) = feed.pause().map(|pause| pause.by) else {
            return Err(Refusal::FeedNotPaused(id));
        };
        let pauser_lifts_its_own = operation.sender == feed.pauser && by == feed.pauser;
        let may =
            operation.sender == feed.owner || (pauser_lifts_its_own && feed.retires_at.is_none());
        if !may {
            return Err(Refusal::Unauthorized(operation.sender, feed.owner));
        }
        if let Some(pause) = feed.pauses.last_mut() {
            pause.until = Some(now);
        }
        Ok(told(feed.feed_clock()))
    }

    pub(super) fn retire(&mut self, operation: &Operation, id: FeedId) -> Result<Outcome, Refusal> {
        let now = self.now;
        let feed = self.owned(id, operation.sender)?;
        check_unretired(feed)?;
        feed.retires_at = Some(feed.last_hour(now) + HOUR);
        Ok(told(feed.feed_clock()))
    }

    pub(super) fn withdraw(
        &mut self,
        operation: &Operation,
        id: FeedId,
        max: u128,
    ) -> Result<Outcome, Refusal> {
        let now = self.now;
        let feed = self.owned(id, operation.sender)?;
        feed.settled = feed.settles_to(now, max);
        let paid = feed.takeable(feed.settled);
        feed.withdrawn += paid;
        let payout = feed.payout;
        let withdrawn = Event {
            signature: "Withdrawn(bytes32,address,uint256)",
            indexed: vec![id.into(), payout.into()],
            data: vec![paid.into()],
        };
        if paid != 0 {
            self.pay(payout, paid)?;
        }
        Ok(Outcome {
            returned: vec![paid.into()],
            events: (paid != 0).then_some(withdrawn).into_iter().collect(),
        })
    }

    fn check_consent(
        &self,
        device: Address,
        name: &[u8; 32],
        owner: Address,
        deadline: u64,
        signature: &[u8],
    ) -> Result<(), Refusal> {
        if self.now > deadline {
            return Err(Refusal::DeadlinePassed(self.now, deadline));
        }
        let name = FeedName::from_bytes32(name).expect("the name of a feed was checked before");
        let digest = self
            .domain
            .feed_authorization(device.into(), &name, owner, deadline);
        let recovered = <[u8; 65]>::try_from(signature)
            .ok()
            .and_then(|bytes| Signature::new(bytes).recover(&digest).ok())
            .unwrap_or(Address::ZERO);
        if recovered == Address::ZERO || recovered != device {
            return Err(Refusal::InvalidDeviceSignature(recovered, device));
        }
        Ok(())
    }
}

/// One to 32 printable ASCII characters, then zeros.
fn is_name(name: &[u8; 32]) -> bool {
    let length = name.iter().position(|byte| *byte == 0).unwrap_or(32);
    let (text, padding) = name.split_at(length);
    length != 0
        && text.iter().all(|byte| (0x20..=0x7e).contains(byte))
        && padding.iter().all(|byte| *byte == 0)
}
