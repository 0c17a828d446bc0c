use std::collections::BTreeMap;

use ashya_protocol::{Address, DeviceKey, Hash};

use crate::dice::Dice;

const PEOPLE: u8 = 10;
const DEVICES: u8 = 6;
const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;
const LISTINGS: u8 = 4;
/// Wei in each wallet at first: all of them together stay below 2^126, so that no sum overflows.
const WEALTH: u128 = 1 << 122;

/// Who and what appears in a history.
#[derive(Debug)]
pub(crate) struct Cast {
    /// Wallets; each may be owner, pauser, payer, beneficiary and recipient.
    pub(crate) people: Vec<Address>,
    /// A contract that refuses all money.
    pub(crate) refuser: Address,
    pub(crate) devices: Vec<DeviceKey>,
    pub(crate) listings: Vec<Hash>,
    /// How many names the feeds of a device may have: few make busy feeds.
    pub(crate) names: u64,
    /// The longest time, in seconds, in which nothing happens: short ones make busy feeds.
    pub(crate) longest_jump: u64,
}

impl Cast {
    pub(crate) fn new(dice: &mut Dice) -> Self {
        let device = |n| DeviceKey::from_bytes([n; 32]).expect("a small number is a key");
        Self {
            people: (1..=PEOPLE).map(|n| Address::new([n; 20])).collect(),
            refuser: Address::new([0xfe; 20]),
            devices: (1..=DEVICES).map(device).collect(),
            listings: (1..=LISTINGS).map(|n| Hash::new([n; 32])).collect(),
            names: dice.pick(&[1, 2, 8]),
            longest_jump: dice.pick(&[HOUR, 12 * HOUR, 3 * DAY, 30 * DAY]),
        }
    }

    /// What everybody has at first.
    pub(crate) fn wallets(&self) -> BTreeMap<Address, u128> {
        self.people.iter().map(|who| (*who, WEALTH)).collect()
    }
}
