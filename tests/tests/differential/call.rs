use ashya_protocol::{Address, FeedId, Hash};

use crate::words::{Word, select, select_with_bytes};

/// Something that somebody does to the ledger at a Unix second.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) at: u64,
    pub(crate) sender: Address,
    pub(crate) value: u128,
    pub(crate) call: Call,
}

/// A call of one of the ledger's functions.
#[derive(Debug, Clone)]
pub(crate) enum Call {
    OpenFeed {
        device: Address,
        name: [u8; 32],
        price: u128,
        payout: Address,
        pauser: Address,
        listing: Hash,
        deadline: u64,
        signature: Vec<u8>,
    },
    SetPrice {
        feed: FeedId,
        price: u128,
    },
    SetPayout {
        feed: FeedId,
        payout: Address,
    },
    SetPauser {
        feed: FeedId,
        pauser: Address,
    },
    SetListing {
        feed: FeedId,
        listing: Hash,
    },
    SetDevice {
        feed: FeedId,
        device: Address,
        deadline: u64,
        signature: Vec<u8>,
    },
    TransferFeed {
        feed: FeedId,
        to: Address,
    },
    AcceptFeed {
        feed: FeedId,
    },
    Pause {
        feed: FeedId,
    },
    Resume {
        feed: FeedId,
    },
    Retire {
        feed: FeedId,
    },
    Withdraw {
        feed: FeedId,
        max_buckets: u128,
    },
    Settle {
        feed: FeedId,
        max_buckets: u128,
    },
    Subscribe {
        feed: FeedId,
        beneficiary: Address,
        duration: u64,
        max_price: u128,
        listing: Hash,
    },
    Extend {
        feed: FeedId,
        beneficiary: Address,
        duration: u64,
    },
    Cancel {
        feed: FeedId,
        beneficiary: Address,
        to: Address,
    },
}

impl Call {
    /// The name of the function.
    pub(crate) fn function(&self) -> &'static str {
        let signature = self.signature();
        signature.split('(').next().unwrap_or(signature)
    }

    /// Whether the function takes money.
    pub(crate) fn is_payable(&self) -> bool {
        matches!(self, Self::Subscribe { .. } | Self::Extend { .. })
    }

    /// The feed that it is about.
    pub(crate) fn feed(&self) -> FeedId {
        match self {
            Self::OpenFeed { device, name, .. } => feed_id(*device, *name),
            Self::SetPrice { feed, .. }
            | Self::SetPayout { feed, .. }
            | Self::SetPauser { feed, .. }
            | Self::SetListing { feed, .. }
            | Self::SetDevice { feed, .. }
            | Self::TransferFeed { feed, .. }
            | Self::AcceptFeed { feed }
            | Self::Pause { feed }
            | Self::Resume { feed }
            | Self::Retire { feed }
            | Self::Withdraw { feed, .. }
            | Self::Settle { feed, .. }
            | Self::Subscribe { feed, .. }
            | Self::Extend { feed, .. }
            | Self::Cancel { feed, .. } => *feed,
        }
    }

    /// The call as the ledger takes it.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let signature = self.signature();
        let feed = Word::from(self.feed());
        match self {
            Self::OpenFeed {
                device,
                name,
                price,
                payout,
                pauser,
                listing,
                deadline,
                signature: consent,
            } => {
                let head = [
                    (*device).into(),
                    (*name).into(),
                    (*price).into(),
                    (*payout).into(),
                    (*pauser).into(),
                    (*listing).into(),
                    (*deadline).into(),
                ];
                select_with_bytes(signature, &head, consent)
            }
            Self::SetDevice {
                device,
                deadline,
                signature: consent,
                ..
            } => {
                let head = [feed, (*device).into(), (*deadline).into()];
                select_with_bytes(signature, &head, consent)
            }
            Self::SetPrice { price, .. } => select(signature, &[feed, (*price).into()]),
            Self::SetPayout { payout: who, .. }
            | Self::SetPauser { pauser: who, .. }
            | Self::TransferFeed { to: who, .. } => select(signature, &[feed, (*who).into()]),
            Self::SetListing { listing, .. } => select(signature, &[feed, (*listing).into()]),
            Self::AcceptFeed { .. }
            | Self::Pause { .. }
            | Self::Resume { .. }
            | Self::Retire { .. } => select(signature, &[feed]),
            Self::Withdraw { max_buckets, .. } | Self::Settle { max_buckets, .. } => {
                select(signature, &[feed, (*max_buckets).into()])
            }
            Self::Subscribe {
                beneficiary,
                duration,
                max_price,
                listing,
                ..
            } => {
                let arguments = [
                    feed,
                    (*beneficiary).into(),
                    (*duration).into(),
                    (*max_price).into(),
                    (*listing).into(),
                ];
                select(signature, &arguments)
            }
            Self::Extend {
                beneficiary,
                duration,
                ..
            } => select(
                signature,
                &[feed, (*beneficiary).into(), (*duration).into()],
            ),
            Self::Cancel {
                beneficiary, to, ..
            } => select(signature, &[feed, (*beneficiary).into(), (*to).into()]),
        }
    }

    fn signature(&self) -> &'static str {
        match self {
            Self::OpenFeed { .. } => {
                "openFeed(address,bytes32,uint96,address,address,bytes32,uint64,bytes)"
            }
            Self::SetPrice { .. } => "setPrice(bytes32,uint96)",
            Self::SetPayout { .. } => "setPayout(bytes32,address)",
            Self::SetPauser { .. } => "setPauser(bytes32,address)",
            Self::SetListing { .. } => "setListing(bytes32,bytes32)",
            Self::SetDevice { .. } => "setDevice(bytes32,address,uint64,bytes)",
            Self::TransferFeed { .. } => "transferFeed(bytes32,address)",
            Self::AcceptFeed { .. } => "acceptFeed(bytes32)",
            Self::Pause { .. } => "pause(bytes32)",
            Self::Resume { .. } => "resume(bytes32)",
            Self::Retire { .. } => "retire(bytes32)",
            Self::Withdraw { .. } => "withdraw(bytes32,uint256)",
            Self::Settle { .. } => "settle(bytes32,uint256)",
            Self::Subscribe { .. } => "subscribe(bytes32,address,uint64,uint96,bytes32)",
            Self::Extend { .. } => "extend(bytes32,address,uint64)",
            Self::Cancel { .. } => "cancel(bytes32,address,address)",
        }
    }
}

/// `keccak256(abi.encode(device, name))`.
pub(crate) fn feed_id(device: Address, name: [u8; 32]) -> FeedId {
    let encoded = crate::words::join(&[device.into(), name.into()]);
    FeedId::new(*ashya_protocol::keccak256(&encoded).as_bytes())
}
