//! Arguments: right for the most part, and wrong on purpose when the call is to be refused.

use ashya_protocol::{Address, DeviceKey, Domain, FeedName};

use super::drawer::Drawer;
use super::{DAY, HOUR};
use crate::call::{Call, Operation};
use crate::model::{Feed, MAX_AHEAD, MAX_RATE, MIN_DURATION};

/// Prices that people ask, in wei per second: from nothing worth to hundreds of ETH a day.
const PRICES: [u128; 6] = [
    1,
    7,
    1_000,
    277_777_777_777,
    123_456_789_012_345,
    5_000_000_000_000_000,
];

impl<'a> Drawer<'a> {
    /// Payer, beneficiary and end of a subscription, by preference a live one.
    pub(super) fn subscription(&mut self, feed: &Feed) -> (Address, Address, u64) {
        let time = feed.time(self.at);
        let live: Vec<_> = feed.subscriptions.iter().filter(|s| s.end > time).collect();
        let one = if self.slip() {
            self.dice.any(&feed.subscriptions)
        } else {
            self.dice.any(&live).copied()
        };
        match one {
            Some(s) if !self.slip() => (s.payer, s.beneficiary, s.end),
            _ => (self.person(), self.person(), time),
        }
    }

    /// A device with its consent to being sold by `owner`, or with something like it.
    pub(super) fn consent(&mut self, name: [u8; 32], owner: Address) -> (Address, u64, Vec<u8>) {
        let device = self.device();
        let ahead = self.dice.pick(&[0, 1, DAY]);
        let mut deadline = self.at + ahead;
        let mut signed = (self.model.domain, owner, deadline, device);
        if self.slip() {
            let domain = self.model.domain;
            match self.dice.below(5) {
                0 => signed.3 = self.device(),
                1 => signed.1 = self.person(),
                2 => signed.2 += 1,
                3 => {
                    signed.0 = Domain {
                        chain_id: 1,
                        ..domain
                    }
                }
                _ => {
                    let ledger = self.cast.refuser;
                    signed.0 = Domain { ledger, ..domain };
                }
            }
        }
        let (domain, signed_owner, signed_deadline, key) = signed;
        // The name of a feed that is refused for its name is never signed.
        let feed_name = FeedName::from_bytes32(&name)
            .unwrap_or_else(|_| "unnamed".parse().expect("a plain name"));
        let digest = domain.feed_authorization(
            device.device_id(),
            &feed_name,
            signed_owner,
            signed_deadline,
        );
        let mut signature = key.sign(&digest).as_bytes().to_vec();
        if self.slip() {
            match self.dice.below(3) {
                0 => signature.truncate(64),
                1 => signature[64] = 29,
                _ => signature.clear(),
            }
        }
        if self.slip() {
            deadline = self.at - self.dice.pick(&[1, DAY]);
        }
        (device.address(), deadline, signature)
    }

    pub(super) fn name(&mut self) -> [u8; 32] {
        let number = self.dice.below(self.cast.names);
        let mut name = [0; 32];
        name[..6].copy_from_slice(format!("feed-{number}").as_bytes());
        match self.dice.below(5) {
            _ if !self.slip() => {}
            0 => name = [0; 32],
            1 => name[4] = 0x1f,
            2 => name[4] = 0x7f,
            3 => name[2] = 0,
            _ => name[31] = b'x',
        }
        name
    }

    pub(super) fn price(&mut self) -> u128 {
        match self.dice.below(100) {
            _ if self.slip() => 0,
            0..3 => MAX_RATE - u128::from(self.dice.below(3)),
            3..6 => MAX_RATE / 2,
            6..40 => u128::from(self.dice.between(1, 1 << 50)),
            _ => self.dice.pick(&PRICES),
        }
    }

    /// What is due, or a little more or less.
    pub(super) fn payment(&mut self, price: u128, duration: u64) -> u128 {
        let due = price * u128::from(duration.min(MAX_AHEAD));
        match self.dice.below(3) {
            _ if !self.slip() => due,
            0 => 0,
            1 => due + 1,
            _ => due.saturating_sub(1),
        }
    }

    /// Seconds from `start`, often so many that the end falls on or beside an hour boundary.
    pub(super) fn duration(&mut self, start: u64, maximum: u64) -> u64 {
        if self.slips != 0 && self.dice.percent(20) {
            return self.dice.pick(&[MIN_DURATION - 1, maximum + 1, u64::MAX]);
        }
        let mut duration = match self.dice.below(100) {
            0..8 => MIN_DURATION,
            8..40 => self.dice.between(MIN_DURATION, 2 * HOUR),
            40..80 => self.dice.between(MIN_DURATION, 3 * DAY),
            80..95 => self.dice.between(MIN_DURATION, 60 * DAY),
            _ => maximum,
        };
        if self.dice.percent(35) {
            let boundary = (start + duration).next_multiple_of(HOUR);
            duration = boundary - start + self.dice.below(3) - 1;
        }
        duration.clamp(MIN_DURATION, maximum.max(MIN_DURATION))
    }

    pub(super) fn max_buckets(&mut self) -> u128 {
        match self.dice.below(10) {
            0 => 0,
            1..3 => 1,
            3..6 => u128::from(self.dice.between(2, 8)),
            _ => u128::MAX,
        }
    }

    fn device(&mut self) -> &'a DeviceKey {
        let cast = self.cast;
        self.dice.any(&cast.devices).expect("there are devices")
    }

    pub(super) fn person(&mut self) -> Address {
        self.dice.pick(&self.cast.people)
    }

    /// A person, or nobody.
    pub(super) fn anybody(&mut self) -> Address {
        if self.dice.percent(15) {
            Address::ZERO
        } else {
            self.person()
        }
    }

    /// Somebody who is to be paid: mostly a person.
    pub(super) fn recipient(&mut self) -> Address {
        match self.dice.below(100) {
            _ if self.slip() => Address::ZERO,
            0..6 => self.cast.refuser,
            6..8 => self.model.domain.ledger,
            _ => self.person(),
        }
    }

    /// A call that takes no money, seldom with some all the same.
    pub(super) fn free(&mut self, sender: Address, call: Call) -> Operation {
        let value = if self.slips != 0 && self.dice.percent(3) {
            1
        } else {
            0
        };
        Operation {
            at: self.at,
            sender,
            value,
            call,
        }
    }

    pub(super) fn slip(&mut self) -> bool {
        self.slips != 0 && self.dice.percent(self.slips)
    }
}
