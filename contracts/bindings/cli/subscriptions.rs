use anyhow::{Context, Result};
use ashya_contracts::{SubscribeTerms, show_eth};

use super::args::{CancelArgs, SubscribeArgs};
use super::config::Config;
use super::outcome::Outcome;

pub(super) async fn subscribe(config: &Config, args: &SubscribeArgs) -> Result<Outcome> {
    let ledger = config.ledger().await?;
    let wallet = config.wallet()?;
    let feed = ledger.feed(args.feed).await?;
    let feed = feed.with_context(|| format!("there is no feed {} on the ledger", args.feed))?;
    let terms = SubscribeTerms {
        feed: args.feed,
        beneficiary: args.beneficiary.unwrap_or_else(|| wallet.address()),
        duration: args.duration,
        max_price: args.max_price.unwrap_or(feed.price),
        listing: args.listing.unwrap_or(feed.listing),
        price: feed.price,
    };
    let bought = ledger.subscribe(wallet, terms).await?;
    let paid = feed.price.checked_mul(args.duration).unwrap_or_default();
    let clock = ledger.clock(args.feed).await?;
    let outcome = Outcome::new(&bought)?
        .line("subscribed", &args.feed)
        .line("paid", &show_eth(paid))
        .line("expiry", &format!("{} s of feed time", bought.expiry))
        .line("transaction", &bought.receipt.transaction)
        .line("fee", &show_eth(bought.receipt.fee))
        .next("watch it at its gateway with this wallet; cancel returns what is not used");
    Ok(match clock.wall_time(bought.expiry) {
        Some(time) => outcome.line("ends at", &format!("Unix second {time}")),
        None => outcome,
    })
}

pub(super) async fn cancel(config: &Config, args: &CancelArgs) -> Result<Outcome> {
    let ledger = config.ledger().await?;
    let wallet = config.wallet()?;
    let beneficiary = args.beneficiary.unwrap_or_else(|| wallet.address());
    let to = args.to.unwrap_or_else(|| wallet.address());
    let cancelled = ledger.cancel(wallet, args.feed, beneficiary, to).await?;
    Ok(Outcome::new(&cancelled)?
        .line("cancelled", &args.feed)
        .line("refund", &show_eth(cancelled.refund))
        .line("transaction", &cancelled.receipt.transaction)
        .line("fee", &show_eth(cancelled.receipt.fee))
        .next(format!("the refund went to {to}")))
}
