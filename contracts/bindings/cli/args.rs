use std::path::PathBuf;

use ashya_contracts::{KeyArgs, parse_duration, parse_eth, parse_gwei};
use ashya_protocol::limits::OUTAGE_SECONDS;
use ashya_protocol::{Address, FeedId, Hash, ListingStream, Wei};
use clap::{Parser, Subcommand};
use url::Url;

use super::listing::parse_stream;

/// Deploys the ledger; sells and buys feeds on it.
///
/// Results go to stdout (JSON with --json), progress and errors to stderr. Exit code 0: done, 1: refused or failed,
/// 64: the arguments make no sense.
#[derive(Debug, Parser)]
#[command(name = "ashya-ledger", version, after_help = EXAMPLES)]
pub(crate) struct Args {
    /// JSON-RPC endpoint of a node
    #[arg(
        long,
        global = true,
        env = "ASHYA_RPC",
        default_value = "http://127.0.0.1:8545"
    )]
    pub(crate) rpc: Url,
    /// Address of the ledger
    #[arg(long, global = true)]
    pub(crate) ledger: Option<Address>,
    /// Deployment file, which names the ledger
    #[arg(long, global = true, env = "ASHYA_DEPLOYMENT")]
    pub(crate) deployment: Option<PathBuf>,
    /// Refuse to do anything on another chain than this one
    #[arg(long, global = true, env = "ASHYA_CHAIN_ID", value_name = "ID")]
    pub(crate) chain_id: Option<u64>,
    /// Most to pay for a unit of gas, tip included
    #[arg(long, global = true, env = "ASHYA_MAX_FEE_GWEI", value_name = "GWEI", value_parser = parse_gwei)]
    pub(crate) max_fee_gwei: Option<Wei>,
    /// Seconds to wait until a transaction is mined
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 60)]
    pub(crate) timeout: u64,
    /// Print JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    // Its heading holds for what follows, so it comes last.
    #[command(flatten)]
    pub(crate) keys: KeyArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "\
Examples:
  ashya-ledger key new --out owner.json
  ashya-ledger --rpc $RPC --keystore owner.json deploy --out deployment.json
  ashya-ledger --rpc $RPC --deployment deployment.json verify --out FeedLedger.standard-input.json
  ashya-ledger --rpc $RPC --signer http://127.0.0.1:8550 --from $OWNER --deployment deployment.json withdraw $FEED

--signer takes what answers eth_signTransaction, or Clef's account_signTransaction. It must sign EIP-1559 transactions and,
for open-feed --gateway, typed data (EIP-712); not every signer does so for every hardware wallet, and we have tried none.
What it signed is checked before it is sent.";

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Makes a keystore with a new random key
    New {
        /// Keystore file to write
        #[arg(long)]
        out: PathBuf,
    },
    /// Prints the address of the key
    Address,
}

#[derive(Debug, clap::Args)]
pub(crate) struct VerifyArgs {
    /// Where to write the compiler's standard-JSON input, for a block explorer
    #[arg(long)]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Puts the ledger on the chain, at the same address on every chain
    Deploy(DeployArgs),
    /// Compares the code on the chain with this release's, and writes what a block explorer needs
    Verify(VerifyArgs),
    /// Makes a keystore, or names a key's address
    #[command(subcommand)]
    Key(KeyCommand),
    /// Opens a feed that a device has authorized, and hands its listing to the gateway
    OpenFeed(Box<OpenFeedArgs>),
    /// Buys a subscription
    Subscribe(SubscribeArgs),
    /// Ends a subscription and returns what was not used
    Cancel(CancelArgs),
    /// Pays out what a feed has earned
    Withdraw {
        /// The feed
        feed: FeedId,
        /// Most hours with ending subscriptions to settle at once
        #[arg(long, default_value_t = 1000)]
        max_buckets: u64,
    },
    /// Stops a feed's clock: nobody pays and nobody's time runs
    Pause {
        /// The feed
        feed: FeedId,
    },
    /// Lets a feed's clock run again
    Resume {
        /// The feed
        feed: FeedId,
    },
    /// Ends a feed for good at its next full hour
    Retire {
        /// The feed
        feed: FeedId,
    },
    /// Moves a feed to another device, such as a new card in the place of a dead one; price and subscribers stay
    SetDevice(SetDeviceArgs),
    /// Shows a feed, its clock, and the wallet's subscription to it
    Show {
        /// The feed
        feed: FeedId,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct DeployArgs {
    /// Deployment file to write
    #[arg(long)]
    pub(crate) out: Option<PathBuf>,
    /// Keep the ledger of the deployment file while it stands on this chain
    #[arg(long, requires = "out")]
    pub(crate) if_missing: bool,
    /// Deploy without the deterministic proxy: a new ledger each time, at an address that follows from the wallet and
    /// its nonce
    #[arg(long, conflicts_with = "block")]
    pub(crate) without_create2: bool,
    /// Block in which the ledger was deployed, or any before, where it stands already and the node does not keep old
    /// states; found by asking when left out
    #[arg(long)]
    pub(crate) block: Option<u64>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct OpenFeedArgs {
    /// The device's consent, as `ashya-agent authorize` writes it
    #[arg(long)]
    pub(crate) authorization: PathBuf,
    /// Price in wei per second
    #[arg(
        long,
        required_unless_present = "price_per_hour",
        conflicts_with = "price_per_hour"
    )]
    pub(crate) price: Option<Wei>,
    /// Price in ETH per hour, rounded down to whole wei per second
    #[arg(long, value_parser = parse_eth)]
    pub(crate) price_per_hour: Option<Wei>,
    /// Title of the listing; the feed's name when left out
    #[arg(long)]
    pub(crate) title: Option<String>,
    /// What is sold, in your words
    #[arg(long, default_value = "")]
    pub(crate) description: String,
    /// What happens to people and places in the picture
    #[arg(long, default_value = "")]
    pub(crate) privacy: String,
    /// Seconds of silence after which the gateway, where it is the pauser, stops the clock so that nobody is charged
    #[arg(long, value_name = "SECONDS", requires = "pauser", value_parser = outage_seconds())]
    pub(crate) outage: Option<u32>,
    /// A stream that is sold and the most events a minute; may be repeated
    #[arg(long = "stream", value_name = "NAME[:PER_MINUTE]", value_parser = parse_stream, default_values = ["detections", "frames"])]
    pub(crate) streams: Vec<ListingStream>,
    /// Where withdrawals go; the wallet when left out
    #[arg(long)]
    pub(crate) payout: Option<Address>,
    /// Who may pause beside the owner, usually the gateway
    #[arg(long)]
    pub(crate) pauser: Option<Address>,
    /// Gateway that serves the listing
    #[arg(long)]
    pub(crate) gateway: Option<Url>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct SetDeviceArgs {
    /// The feed, whose id stays
    pub(crate) feed: FeedId,
    /// The new device's consent, as `ashya-agent authorize` writes it, for the feed's name
    #[arg(long)]
    pub(crate) authorization: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct SubscribeArgs {
    /// The feed
    pub(crate) feed: FeedId,
    /// How long, such as 90s, 30m, 1h or 7d
    #[arg(long = "for", value_parser = parse_duration)]
    pub(crate) duration: u64,
    /// Who may watch; the wallet when left out
    #[arg(long)]
    pub(crate) beneficiary: Option<Address>,
    /// Highest price in wei per second to accept; the present one when left out
    #[arg(long)]
    pub(crate) max_price: Option<Wei>,
    /// Hash of the listing that you have read; the ledger refuses any other. The present one when left out
    #[arg(long, value_name = "HASH")]
    pub(crate) listing: Option<Hash>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct CancelArgs {
    /// The feed
    pub(crate) feed: FeedId,
    /// Who may watch; the wallet when left out
    #[arg(long)]
    pub(crate) beneficiary: Option<Address>,
    /// Who receives the refund; the wallet when left out
    #[arg(long)]
    pub(crate) to: Option<Address>,
}

fn outage_seconds() -> clap::builder::RangedI64ValueParser<u32> {
    let (least, most) = OUTAGE_SECONDS.into_inner();
    clap::value_parser!(u32).range(i64::from(least)..=i64::from(most))
}
