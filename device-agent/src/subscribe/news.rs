//! What a subscriber tells of itself on stderr: lines for people, or JSON for programs.

use std::fmt;

use ashya_contracts::show_eth;
use ashya_protocol::{Address, DeviceId, FeedId, Hash, StreamName, Wei};
use serde::Serialize;

/// How news are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Voice {
    /// Lines for people.
    Human,
    /// A JSON object a line.
    Json,
}

/// Something that happened. In JSON, `type` names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(
    tag = "type",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
pub(crate) enum News {
    /// Who buys what.
    Started {
        feed: FeedId,
        wallet: Address,
        chain_id: u64,
        ledger: Address,
        price: Wei,
        max_price: Wei,
        budget: Wei,
        committed: Wei,
    },
    /// What is sold, in the owner's words.
    Listing {
        title: String,
        streams: Vec<StreamName>,
        hash: Hash,
    },
    /// A transaction is on its way; it is on the disk already.
    Sent {
        what: &'static str,
        seconds: u64,
        value: Wei,
        most_fee: Wei,
        transaction: Hash,
    },
    /// The node has not said whether it took a transaction, or takes it to have come before.
    Unsure { transaction: Hash, reason: String },
    /// A payment is in a block.
    Paid {
        what: &'static str,
        value: Wei,
        fee: Wei,
        transaction: Hash,
        block: u64,
        spent: Wei,
        left: Wei,
    },
    /// A transaction was mined and refused by the ledger: its ETH stayed, its gas is gone.
    Reverted { transaction: Hash, fee: Wei },
    /// A reorganisation has undone a transaction; the same one is sent again.
    Undone { transaction: Hash },
    /// Another transaction of the wallet took its number: it will never be mined.
    Displaced { transaction: Hash },
    /// The gateway lets us watch.
    Watching {
        streams: Vec<StreamName>,
        expires_at: Option<u64>,
    },
    /// Nothing is paid now.
    Waiting { reason: &'static str },
    /// The gateway is gone for now.
    GatewayAway { reason: String, retry_ms: u64 },
    /// The chain cannot be read or paid on for now.
    Trouble { reason: String },
    /// The gateway no longer lets us watch.
    Ended { reason: String },
    /// The feed's clock stands still, or its device is gone, or either is back.
    Notice { state: String },
    /// The owner has moved the feed to another device, as the ledger says.
    Moved { device: DeviceId },
    /// An event that was not handed on.
    Dropped {
        reason: String,
        stream: StreamName,
        boot: u64,
        seq: u64,
    },
    /// A command for an event failed.
    CommandFailed { status: String },
    /// What was not used came back.
    Cancelled {
        refund: Wei,
        fee: Wei,
        transaction: Hash,
    },
    /// There is nothing to cancel.
    NothingToCancel,
    /// What would come back is less than the gas that it may cost.
    NotWorthCancelling { refund: Wei, most_fee: Wei },
    /// Watching or paying has failed, and then the cancel too.
    NotCancelled { reason: String },
    /// The end, with the whole account.
    Stopped {
        reason: String,
        events: u64,
        missing: u64,
        replayed: u64,
        refused: u64,
        spent: Wei,
        budget: Wei,
    },
}

impl Voice {
    /// Tells something on stderr.
    pub(crate) fn tell(self, news: &News) {
        match self {
            Self::Human => eprintln!("{news}"),
            Self::Json => eprintln!(
                "{}",
                serde_json::to_string(news).expect("news are texts and numbers")
            ),
        }
    }
}

impl fmt::Display for News {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started {
                feed,
                wallet,
                chain_id,
                ledger,
                price,
                max_price,
                budget,
                committed,
            } => write!(
                f,
                "feed {feed} at {price} wei per second (at most {max_price}) by ledger {ledger} on chain {chain_id}; \
                 wallet {wallet}, budget {}, of which {} are gone",
                show_eth(*budget),
                show_eth(*committed)
            ),
            Self::Listing {
                title,
                streams,
                hash,
            } => write!(
                f,
                "on sale: {title:?} with {} (listing {hash})",
                names(streams)
            ),
            Self::Sent {
                what,
                seconds,
                value,
                most_fee,
                transaction,
            } => write!(
                f,
                "{what}: {} for {seconds} s, and at most {} for gas; sent {transaction}",
                show_eth(*value),
                show_eth(*most_fee)
            ),
            Self::Unsure {
                transaction,
                reason,
            } => write!(
                f,
                "not sure that the node has {transaction} ({reason}): looking for it, and paying nothing else"
            ),
            Self::Paid {
                what,
                value,
                fee,
                transaction,
                block,
                spent,
                left,
            } => write!(
                f,
                "{what}: {} and {} for gas in block {block} ({transaction}); {} are gone, {} left for sure",
                show_eth(*value),
                show_eth(*fee),
                show_eth(*spent),
                show_eth(*left)
            ),
            Self::Reverted { transaction, fee } => write!(
                f,
                "the ledger refused {transaction} when it was mined; only the gas is gone: {}",
                show_eth(*fee)
            ),
            Self::Undone { transaction } => write!(
                f,
                "a reorganisation of the chain has undone {transaction}: sending the same again"
            ),
            Self::Displaced { transaction } => write!(
                f,
                "another transaction of this wallet took the number of {transaction}, which will never be mined"
            ),
            Self::Watching {
                streams,
                expires_at: Some(end),
            } => write!(f, "watching {} until Unix second {end}", names(streams)),
            Self::Watching { streams, .. } => write!(f, "watching {}", names(streams)),
            Self::Waiting { reason } => write!(f, "{reason}"),
            Self::GatewayAway { reason, retry_ms } => {
                write!(
                    f,
                    "the gateway is away ({reason}); next attempt in {retry_ms} ms"
                )
            }
            Self::Trouble { reason } => write!(f, "the chain: {reason}; trying again"),
            Self::Ended { reason } => write!(f, "the gateway has stopped: {reason}"),
            Self::Notice { state } => write!(f, "the feed is {state}"),
            Self::Moved { device } => write!(f, "the owner has moved the feed to device {device}"),
            Self::Dropped {
                reason,
                stream,
                boot,
                seq,
            } => write!(f, "refused {stream} {boot}:{seq}: {reason}"),
            Self::CommandFailed { status } => write!(f, "the command of --exec failed: {status}"),
            Self::Cancelled {
                refund,
                fee,
                transaction,
            } => write!(
                f,
                "cancelled: {} ({refund} wei) came back, for {} of gas ({transaction})",
                show_eth(*refund),
                show_eth(*fee)
            ),
            Self::NothingToCancel => write!(f, "there is no paid time left to cancel"),
            Self::NotWorthCancelling { refund, most_fee } => write!(
                f,
                "not cancelled, not worth its gas: {} would come back, for up to {} of gas",
                show_eth(*refund),
                show_eth(*most_fee)
            ),
            Self::NotCancelled { reason } => write!(
                f,
                "{reason}; to have the rest back, start the same command again with --cancel, and stop it"
            ),
            Self::Stopped {
                reason,
                events,
                missing,
                replayed,
                refused,
                spent,
                budget,
            } => write!(
                f,
                "{reason}; {events} events, {missing} missing, {replayed} replayed, {refused} refused; {} of {} are gone",
                show_eth(*spent),
                show_eth(*budget)
            ),
        }
    }
}

fn names(streams: &[StreamName]) -> String {
    let names: Vec<_> = streams.iter().map(StreamName::as_str).collect();
    names.join(", ")
}
