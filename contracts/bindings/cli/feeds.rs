use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use ashya_contracts::{
    FeedClock, FeedRecord, FeedTerms, Ledger, Receipt, SubscriptionRecord, show_eth,
};
use ashya_protocol::rest::SignedListing;
use ashya_protocol::{Address, AuthorizationFile, FeedAuthorization, FeedId, Hash, Listing, Wei};
use serde::Serialize;

use super::args::{OpenFeedArgs, SetDeviceArgs};
use super::config::Config;
use super::listing::publish;
use super::outcome::Outcome;

const HOUR: u64 = 3600;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Opened {
    feed: FeedId,
    listing: Hash,
    price: Wei,
    /// Absent when the feed was open already.
    receipt: Option<Receipt>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    feed: FeedId,
    #[serde(flatten)]
    terms: FeedRecord,
    clock: FeedClock,
    feed_time: u64,
    withdrawable: Wei,
    subscription: Option<SubscriptionRecord>,
}

pub(super) async fn open(config: &Config, args: OpenFeedArgs) -> Result<Outcome> {
    let ledger = config.ledger().await?;
    let wallet = config.wallet()?;
    let authorization = read_authorization(&args.authorization, &ledger)?;
    let feed = FeedId::derive(authorization.device, &authorization.name);
    let price = price_of(&args)?;
    let document = Listing {
        description: args.description,
        device: authorization.device,
        name: authorization.name.clone(),
        outage_seconds: args.outage,
        privacy: args.privacy,
        streams: args.streams,
        title: args.title.unwrap_or_else(|| authorization.name.to_string()),
    }
    .to_canonical_json()?;
    let listing = Listing::hash_of(&document);

    let receipt = match ledger.feed(feed).await? {
        Some(record) if record.listing == listing && record.owner == wallet.address() => None,
        Some(record) => bail!(
            "the feed {feed} is open already, owned by {} with the listing {}",
            record.owner,
            record.listing
        ),
        None => {
            let terms = FeedTerms {
                authorization,
                price,
                payout: args.payout.unwrap_or_else(|| wallet.address()),
                pauser: args.pauser.unwrap_or(Address::ZERO),
                listing,
            };
            Some(ledger.open_feed(wallet, terms).await?.1)
        }
    };
    if let Some(gateway) = &args.gateway {
        let domain = ledger.domain();
        let signature = wallet.sign_listing(&domain, feed, listing).await?;
        publish(
            gateway,
            feed,
            &SignedListing {
                document,
                signature,
            },
        )
        .await?;
    }
    let opened = Opened {
        feed,
        listing,
        price,
        receipt,
    };
    let outcome = Outcome::new(&opened)?
        .line("feed", &feed)
        .line("listing", &listing)
        .line("price", &per_hour(price));
    let outcome = match opened.receipt {
        Some(receipt) => outcome
            .line("transaction", &receipt.transaction)
            .line("fee", &show_eth(receipt.fee)),
        None => outcome.line("state", &"it was open already"),
    };
    Ok(match &args.gateway {
        Some(gateway) => outcome.next(format!("it is for sale at {gateway}")),
        None => {
            outcome.next("the same command with --gateway URL hands the listing to the gateway")
        }
    })
}

pub(super) async fn pause(config: &Config, feed: FeedId) -> Result<Outcome> {
    let ledger = config.ledger().await?;
    let receipt = ledger.pause(config.wallet()?, feed).await?;
    Ok(tell("paused", feed, receipt)?.next("nobody pays and nobody's time runs until resume"))
}

pub(super) async fn resume(config: &Config, feed: FeedId) -> Result<Outcome> {
    let ledger = config.ledger().await?;
    let receipt = ledger.resume(config.wallet()?, feed).await?;
    Ok(tell("resumed", feed, receipt)?.next("the feed earns again; show tells how much"))
}

pub(super) async fn retire(config: &Config, feed: FeedId) -> Result<Outcome> {
    let ledger = config.ledger().await?;
    let receipt = ledger.retire(config.wallet()?, feed).await?;
    Ok(tell("retired", feed, receipt)?
        .next("its clock stops at the next full hour; withdraw then pays all that was earned"))
}

pub(super) async fn set_device(config: &Config, args: &SetDeviceArgs) -> Result<Outcome> {
    let ledger = config.ledger().await?;
    let authorization = read_authorization(&args.authorization, &ledger)?;
    let device = authorization.device;
    let receipt = ledger.set_device(config.wallet()?, args.feed, &authorization);
    Ok(tell("moved", args.feed, receipt.await?)?
        .line("device", &device)
        .next("its events reach the subscribers as soon as it runs; the listing may still name the old device"))
}

pub(super) async fn withdraw(config: &Config, feed: FeedId, max_buckets: u64) -> Result<Outcome> {
    let ledger = config.ledger().await?;
    let withdrawn = ledger.withdraw(config.wallet()?, feed, max_buckets).await?;
    Ok(Outcome::new(&withdrawn)?
        .line("paid", &show_eth(withdrawn.paid))
        .line("transaction", &withdrawn.receipt.transaction)
        .line("fee", &show_eth(withdrawn.receipt.fee))
        .next("full hours are paid; the running hour follows when it is over"))
}

pub(super) async fn show(config: &Config, feed: FeedId) -> Result<Outcome> {
    let ledger = config.ledger().await?;
    let Some(terms) = ledger.feed(feed).await? else {
        bail!("there is no feed {feed} on the ledger {}", ledger.address());
    };
    let clock = ledger.clock(feed).await?;
    // A local chain may be ahead of the wall clock.
    let wall = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let now = config.rpc.latest().await?.timestamp.max(wall);
    let subscription = match config.address() {
        Some(wallet) => ledger.subscription(feed, wallet, wallet).await?,
        None => None,
    };
    let shown = Shown {
        feed,
        feed_time: clock.feed_time(now),
        withdrawable: ledger.withdrawable(feed).await?,
        terms,
        clock,
        subscription,
    };
    let outcome = Outcome::new(&shown)?
        .line("feed", &feed)
        .line("name", &&shown.terms.name)
        .line("device", &shown.terms.device)
        .line("owner", &shown.terms.owner)
        .line("price", &per_hour(shown.terms.price))
        .line("listing", &shown.terms.listing)
        .line("state", &state(&clock, shown.feed_time))
        .line("withdrawable", &show_eth(shown.withdrawable));
    Ok(match subscription {
        Some(held) if held.expiry > shown.feed_time => outcome.line(
            "subscription",
            &format!("{} s left", held.expiry - shown.feed_time),
        ),
        Some(_) => outcome.line("subscription", &"ended"),
        None => outcome,
    })
}

fn tell(what: &str, feed: FeedId, receipt: Receipt) -> Result<Outcome> {
    Ok(Outcome::new(&receipt)?
        .line(what, &feed)
        .line("transaction", &receipt.transaction)
        .line("fee", &show_eth(receipt.fee)))
}

fn read_authorization(path: &Path, ledger: &Ledger) -> Result<FeedAuthorization> {
    let text = fs::read_to_string(path);
    let path = path.display();
    let text = text.with_context(|| format!("the authorization {path}"))?;
    let file: AuthorizationFile =
        serde_json::from_str(&text).with_context(|| format!("the authorization {path}"))?;
    let domain = ledger.domain();
    ensure!(
        file.domain() == domain,
        "the authorization {path} is for the ledger {} on chain {}, not for {} on chain {}",
        file.ledger,
        file.chain_id,
        domain.ledger,
        domain.chain_id
    );
    Ok(file.authorization)
}

fn price_of(args: &OpenFeedArgs) -> Result<Wei> {
    let price = match (args.price, args.price_per_hour) {
        (Some(price), _) => price,
        (None, Some(hour)) => Wei::new(hour.get() / u128::from(HOUR)),
        (None, None) => bail!("name the price by --price or --price-per-hour"),
    };
    ensure!(
        price > Wei::default(),
        "the price is below one wei per second"
    );
    Ok(price)
}

fn per_hour(price: Wei) -> String {
    match price.checked_mul(HOUR) {
        Some(hour) => format!("{price} wei per second, {} per hour", show_eth(hour)),
        None => format!("{price} wei per second"),
    }
}

fn state(clock: &FeedClock, feed_time: u64) -> String {
    match (clock.retires_at, clock.paused_at) {
        (Some(end), _) if end <= feed_time => format!("retired at {end} s"),
        (Some(end), None) => format!("retires at {end} s, now at {feed_time} s"),
        (_, Some(since)) => format!("paused since {since}, at {feed_time} s"),
        (None, None) => format!("open, at {feed_time} s"),
    }
}
