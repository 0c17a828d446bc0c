use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use ashya_contracts::{Deployment, KeyArgs, Rpc, parse_duration, parse_eth, parse_gwei, show_eth};
use ashya_protocol::limits::{MAX_SUBSCRIPTION_SECONDS, MIN_SUBSCRIPTION_SECONDS};
use ashya_protocol::{Address, FeedId, Hash, Position, StreamName, Wei};
use clap::Args;
use url::Url;

use crate::cli::EXIT_USAGE;
use crate::cli::stop::stop_signal;
use crate::subscribe::{Ending, Leaving, Plan, Stop, Voice, subscribe};

/// Exit code: the budget is spent.
const EXIT_BUDGET: u8 = 3;
/// Exit code: the feed's price or listing is no longer what the buyer agreed to.
const EXIT_TERMS: u8 = 4;
/// Exit code: the gateway contradicts the chain, or does not serve what was paid for.
const EXIT_GATEWAY: u8 = 5;
/// Exit code: the feed was retired.
const EXIT_RETIRED: u8 = 6;
/// Time to wait until a signer in another process has answered.
const SIGNER_PATIENCE: Duration = Duration::from_secs(60);
const SECONDS_PER_HOUR: u128 = 3600;

const AFTER_HELP: &str = "\
Events go to stdout, a JSON object a line: {\"type\":\"event\",…} as in the gateway's JSON, {\"type\":\"gap\",…} for what
will not come. What happens goes to stderr. All that is paid for one feed, gas included, stays within --budget, over all
starts with the same --state; the gas of --cancel comes on top, and is never more than what it brings back.

Exit codes: 0 asked to stop, --count reached, or nobody reads stdout; 1 failed; 3 the budget is spent; 4 price or listing are not (any more) what
was agreed; 5 the gateway contradicts the chain or does not serve what was paid; 6 the feed was retired; 64 the arguments
make no sense.

Example:
  ashya-agent subscribe $FEED --gateway https://gate.example --rpc $RPC --key-file wallet.key --budget 0.01 --term 10m --cancel";

/// `ashya-agent subscribe`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct SubscribeArgs {
    /// The feed
    feed: FeedId,
    /// The gateway that serves it
    #[arg(
        long,
        value_name = "URL",
        env = "ASHYA_AGENT_GATEWAY",
        default_value = "http://127.0.0.1:8080"
    )]
    gateway: Url,
    /// JSON-RPC endpoint of a node that you trust; it says which chain is paid on, and what things cost
    #[arg(
        long,
        value_name = "URL",
        env = "ASHYA_RPC",
        default_value = "http://127.0.0.1:8545"
    )]
    rpc: Url,
    /// Address of the ledger that you trust [default: the gateway's, if its code is this release's to the byte]
    #[arg(long, value_name = "ADDRESS", conflicts_with = "deployment")]
    ledger: Option<Address>,
    /// Deployment file, which names the ledger
    #[arg(long, value_name = "FILE", env = "ASHYA_DEPLOYMENT")]
    deployment: Option<PathBuf>,
    /// Refuse to pay on another chain than this one
    #[arg(long, value_name = "ID", env = "ASHYA_CHAIN_ID")]
    chain_id: Option<u64>,
    /// Most ETH to spend on this feed, gas included but for that of --cancel
    #[arg(long, value_name = "ETH", value_parser = parse_eth)]
    budget: Wei,
    /// Time that is bought at once, such as 90s, 10m or 1h; 60s at least
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = parse_term)]
    term: u64,
    /// Highest price to pay, in wei per second [default: the price at the first start]
    #[arg(long, value_name = "WEI", conflicts_with = "max_price_per_hour")]
    max_price: Option<Wei>,
    /// Highest price to pay, in ETH per hour
    #[arg(long, value_name = "ETH", value_parser = parse_eth)]
    max_price_per_hour: Option<Wei>,
    /// Most to pay for a unit of gas, tip included
    #[arg(long, value_name = "GWEI", env = "ASHYA_MAX_FEE_GWEI", value_parser = parse_gwei)]
    max_fee_gwei: Option<Wei>,
    /// Hash of the listing that you have read; no other is bought
    #[arg(long, value_name = "HASH")]
    listing: Option<Hash>,
    /// Streams to watch, separated by commas [default: all of the feed]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    streams: Option<Vec<StreamName>>,
    /// Begin after this event, unless --state remembers a later one; may be repeated
    #[arg(long, value_name = "STREAM=BOOT:SEQ", value_parser = parse_since)]
    since: Vec<(StreamName, Position)>,
    /// Stop after so many events
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Run this shell command for each event, with its JSON on stdin, one after the other
    #[arg(long, value_name = "COMMAND")]
    exec: Option<String>,
    /// At the end, cancel what was not used for the money, where it is worth the gas
    #[arg(long)]
    cancel: bool,
    /// Folder of the books: what was paid, and the last event of each stream
    #[arg(
        long,
        value_name = "DIR",
        env = "ASHYA_AGENT_STATE",
        default_value = "agent-data/subscriptions"
    )]
    state: PathBuf,
    /// Tell what happens as JSON
    #[arg(long)]
    json: bool,
    // Its heading holds for what follows, so it comes last.
    #[command(flatten)]
    keys: KeyArgs,
}

pub(super) async fn run(args: SubscribeArgs) -> anyhow::Result<ExitCode> {
    let plan = match plan(args) {
        Ok(plan) => plan,
        Err(reason) => {
            eprintln!("{reason}");
            return Ok(ExitCode::from(EXIT_USAGE));
        }
    };
    let ending = match subscribe(plan, stop_signal(), stop_signal()).await {
        Ok(ending) => ending,
        Err(error) if error.blames_the_gateway() => {
            eprintln!("{error}");
            return Ok(ExitCode::from(EXIT_GATEWAY));
        }
        Err(error) => return Err(error.into()),
    };
    Ok(match ending {
        Ending::Asked => ExitCode::SUCCESS,
        Ending::Stopped(Stop::BudgetSpent { .. }) => ExitCode::from(EXIT_BUDGET),
        Ending::Stopped(Stop::PriceAboveMax { .. } | Stop::ListingChanged { .. }) => {
            ExitCode::from(EXIT_TERMS)
        }
        Ending::Stopped(Stop::Lied(_) | Stop::NotHonoured) => ExitCode::from(EXIT_GATEWAY),
        Ending::Stopped(Stop::Retired) => ExitCode::from(EXIT_RETIRED),
    })
}

/// Makes of the arguments what is done; else says in a line why they make no sense.
fn plan(args: SubscribeArgs) -> Result<Plan, String> {
    let mut chains: Vec<_> = args
        .chain_id
        .map(|id| (id, "--chain-id"))
        .into_iter()
        .collect();
    let ledger = match &args.deployment {
        None => args.ledger,
        Some(path) => {
            let failed = |reason: String| format!("{}: {reason}", path.display());
            let text = fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
            let deployment: Deployment =
                serde_json::from_str(&text).map_err(|error| failed(error.to_string()))?;
            chains.push((deployment.chain_id, "the deployment file"));
            Some(deployment.ledger)
        }
    };
    let wallet = args.keys.wallet().map_err(|error| error.to_string())?;
    let wallet = wallet.ok_or(
        "name the wallet's key by --keystore, --key-file, --signer with --from, or ASHYA_KEY",
    )?;
    let wallet = wallet.with_patience(SIGNER_PATIENCE);
    let wallet = match args.max_fee_gwei {
        Some(most) => wallet.with_max_fee(most),
        None => wallet,
    };
    let per_hour = args
        .max_price_per_hour
        .map(|hour| Wei::new(hour.get() / SECONDS_PER_HOUR));
    let max_price = args.max_price.or(per_hour);
    if max_price == Some(Wei::default()) {
        return Err(
            "the highest price is below one wei per second: nothing is sold for that".into(),
        );
    }
    if args.budget == Wei::default() {
        return Err(format!(
            "--budget of {} buys nothing",
            show_eth(args.budget)
        ));
    }
    Ok(Plan {
        feed: args.feed,
        gateway: args.gateway,
        rpc: Rpc::new(&args.rpc).map_err(|error| format!("--rpc: {error}"))?,
        ledger,
        chains,
        wallet,
        budget: args.budget,
        term: args.term,
        max_price,
        listing: args.listing,
        streams: args.streams,
        since: args.since.into_iter().collect::<BTreeMap<_, _>>(),
        count: args.count,
        leaving: if args.cancel {
            Leaving::Cancel
        } else {
            Leaving::Keep
        },
        exec: args.exec,
        state: args.state,
        voice: if args.json { Voice::Json } else { Voice::Human },
    })
}

/// Reads a time that the ledger sells at once.
fn parse_term(text: &str) -> Result<u64, String> {
    let seconds = parse_duration(text)?;
    if (MIN_SUBSCRIPTION_SECONDS..=MAX_SUBSCRIPTION_SECONDS).contains(&seconds) {
        return Ok(seconds);
    }
    Err("the ledger sells from 60s to 366d at once".into())
}

/// Reads `detections=1790000000:41`.
fn parse_since(text: &str) -> Result<(StreamName, Position), String> {
    let parsed = || {
        let (stream, position) = text.split_once('=')?;
        let (boot, seq) = position.split_once(':')?;
        let position = Position {
            boot: boot.parse::<u64>().ok()?.try_into().ok()?,
            seq: seq.parse::<u64>().ok()?.try_into().ok()?,
        };
        Some((stream.parse().ok()?, position))
    };
    parsed().ok_or_else(|| format!("expected such as detections=1790000000:41, found {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms() {
        for (text, seconds) in [
            ("60s", Some(60)),
            ("10m", Some(600)),
            ("366d", Some(31_622_400)),
            ("59s", None),
            ("367d", None),
            ("10", None),
        ] {
            assert_eq!(parse_term(text).ok(), seconds, "{text}");
        }
    }

    #[test]
    fn beginnings() {
        let (stream, position) = parse_since("detections=1790000000:41").unwrap();
        assert_eq!(stream.as_str(), "detections");
        assert_eq!(
            (position.boot.get(), position.seq.get()),
            (1_790_000_000, 41)
        );
        for text in [
            "",
            "detections",
            "detections=1",
            "=1:2",
            "A=1:2",
            "a=1:-2",
            "a=x:1",
        ] {
            assert!(parse_since(text).is_err(), "{text}");
        }
    }
}
