use ashya_protocol::{Address, FeedId, Hash};

use super::Function;
use crate::call::{Call, Operation};
use crate::cast::Cast;
use crate::dice::Dice;
use crate::model::{Feed, MAX_AHEAD, MAX_RATE, Model};

/// Draws the calls of one moment.
pub(super) struct Drawer<'a> {
    pub(super) model: &'a Model,
    pub(super) cast: &'a Cast,
    pub(super) dice: &'a mut Dice,
    pub(super) feeds: &'a [FeedId],
    /// The feed whose clock was looked at.
    pub(super) focus: Option<FeedId>,
    pub(super) at: u64,
    /// Values of a hundred that are wrong on purpose.
    pub(super) slips: u64,
}

impl Drawer<'_> {
    /// A call of this function, or `openFeed` while there is no feed.
    pub(super) fn operation(&mut self, function: Function) -> Operation {
        if let Function::OpenFeed = function {
            return self.open_feed();
        }
        let known = if self.dice.percent(60) {
            self.focus
        } else {
            None
        };
        let known = known.or_else(|| self.dice.any_early(self.feeds).copied());
        let Some(feed) = known.map(|id| &self.model.feeds[&id]) else {
            return self.open_feed();
        };
        let id = if self.slip() && self.dice.percent(25) {
            FeedId::new([0xee; 32])
        } else {
            feed.id
        };
        match function {
            Function::OpenFeed | Function::Subscribe => self.subscribe(feed, id),
            Function::Extend => self.extend(feed, id),
            Function::Cancel => self.cancel(feed, id),
            Function::AcceptFeed => {
                let sender = if self.slip() || !self.cast.people.contains(&feed.pending_owner) {
                    self.person()
                } else {
                    feed.pending_owner
                };
                self.free(sender, Call::AcceptFeed { feed: id })
            }
            Function::Pause | Function::Resume => {
                let pauser = self.cast.people.contains(&feed.pauser) && self.dice.percent(50);
                let expected = if pauser { feed.pauser } else { feed.owner };
                let sender = if self.slip() { self.person() } else { expected };
                let call = match function {
                    Function::Pause => Call::Pause { feed: id },
                    _ => Call::Resume { feed: id },
                };
                self.free(sender, call)
            }
            Function::Settle => {
                let sender = self.person();
                let max_buckets = self.max_buckets();
                let call = Call::Settle {
                    feed: id,
                    max_buckets,
                };
                self.free(sender, call)
            }
            _ => {
                let sender = if self.slip() {
                    self.person()
                } else {
                    feed.owner
                };
                let call = self.owners_call(function, feed, id, sender);
                self.free(sender, call)
            }
        }
    }

    fn owners_call(
        &mut self,
        function: Function,
        feed: &Feed,
        id: FeedId,
        sender: Address,
    ) -> Call {
        match function {
            Function::SetPrice => Call::SetPrice {
                feed: id,
                price: self.price(),
            },
            Function::SetPayout => Call::SetPayout {
                feed: id,
                payout: self.recipient(),
            },
            Function::SetPauser => Call::SetPauser {
                feed: id,
                pauser: self.anybody(),
            },
            Function::SetListing => Call::SetListing {
                feed: id,
                listing: self.dice.pick(&self.cast.listings),
            },
            Function::SetDevice => {
                let (device, deadline, signature) = self.consent(feed.name, sender);
                Call::SetDevice {
                    feed: id,
                    device,
                    deadline,
                    signature,
                }
            }
            Function::TransferFeed => Call::TransferFeed {
                feed: id,
                to: self.anybody(),
            },
            Function::Retire => Call::Retire { feed: id },
            _ => Call::Withdraw {
                feed: id,
                max_buckets: self.max_buckets(),
            },
        }
    }

    fn open_feed(&mut self) -> Operation {
        let sender = self.person();
        let name = self.name();
        let (mut device, deadline, signature) = self.consent(name, sender);
        let mut name = name;
        if self.slip()
            && let Some(feed) = self.dice.any(self.feeds).map(|id| &self.model.feeds[id])
        {
            (device, name) = (feed.device, feed.name);
        }
        let call = Call::OpenFeed {
            device,
            name,
            price: self.price(),
            payout: self.recipient(),
            pauser: self.anybody(),
            listing: self.dice.pick(&self.cast.listings),
            deadline,
            signature,
        };
        self.free(sender, call)
    }

    fn subscribe(&mut self, feed: &Feed, id: FeedId) -> Operation {
        let mut sender = self.person();
        let mut beneficiary = if self.slip() {
            Address::ZERO
        } else if self.dice.percent(60) {
            sender
        } else {
            self.person()
        };
        if self.slip()
            && let Some(live) = self.dice.any(&feed.subscriptions)
        {
            (sender, beneficiary) = (live.payer, live.beneficiary);
        }
        let duration = self.duration(feed.time(self.at), MAX_AHEAD);
        let max_price = match self.dice.below(3) {
            _ if self.slip() => feed.price - 1,
            0 => feed.price,
            1 => (feed.price * 2).min(MAX_RATE),
            _ => MAX_RATE,
        };
        let listing = if self.slip() {
            Hash::ZERO
        } else {
            feed.listing
        };
        Operation {
            at: self.at,
            sender,
            value: self.payment(feed.price, duration),
            call: Call::Subscribe {
                feed: id,
                beneficiary,
                duration,
                max_price,
                listing,
            },
        }
    }

    fn extend(&mut self, feed: &Feed, id: FeedId) -> Operation {
        let (sender, beneficiary, end) = self.subscription(feed);
        let ahead = end.saturating_sub(feed.time(self.at)).min(MAX_AHEAD);
        let duration = self.duration(end, MAX_AHEAD - ahead);
        Operation {
            at: self.at,
            sender,
            value: self.payment(feed.price, duration),
            call: Call::Extend {
                feed: id,
                beneficiary,
                duration,
            },
        }
    }

    fn cancel(&mut self, feed: &Feed, id: FeedId) -> Operation {
        let (sender, beneficiary, _) = self.subscription(feed);
        let to = match self.dice.below(10) {
            _ if self.slip() => {
                self.dice
                    .pick(&[Address::ZERO, self.cast.refuser, self.model.domain.ledger])
            }
            0..6 => sender,
            _ => self.person(),
        };
        let call = Call::Cancel {
            feed: id,
            beneficiary,
            to,
        };
        self.free(sender, call)
    }
}
