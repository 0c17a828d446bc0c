//! Strangers who ask for nonces and never use them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Result, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::shop::attacked_with;
use crate::{report, scaled};

/// Requests at a time.
const AT_ONCE: usize = 32;
/// Parts in which they ask, with a delivery after each.
const ROUNDS: usize = 20;
/// Where the attackers are: any address of 127.0.0.0/8 is this machine.
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 66, 6, 6));
/// Memory that they may take in kB: none is kept for a nonce that is not used.
const KB: u64 = 24_000;

#[tokio::test(flavor = "multi_thread")]
async fn nonces_that_nobody_uses_take_no_memory() {
    for (limit, config, count) in [
        (
            "without a rate limit",
            "[auth]\nnonces_per_minute = 0\n",
            scaled(5_000, 1_000_000),
        ),
        ("with the default one", "", scaled(5_000, 100_000)),
    ] {
        attacked_with(config, async |shop| {
            // Of a first few, for the connections and what else comes with them.
            ask(shop.http(), 500).await?;
            let before = shop.memory_kb()?;
            let mut granted = 0;
            let mut slowest = Duration::ZERO;
            // In between the subscriber reads, and answers pings.
            for _ in 0..ROUNDS {
                granted += ask(shop.http(), count / ROUNDS).await?;
                slowest = slowest.max(shop.deliver().await?);
            }
            let grown = shop.memory_kb()?.saturating_sub(before);
            ensure!(grown < KB, "{grown} kB more for {granted} nonces");
            ensure!(
                granted == count || !config.contains("= 0"),
                "{granted} of {count}"
            );
            ensure!(granted < count || config.contains("= 0"), "no limit");
            report(
                &format!("nonces that nobody uses, {limit}"),
                &format!("{count} requests"),
                &format!(
                    "{granted} granted; {grown} kB more; slowest delivery in between {} ms",
                    slowest.as_millis()
                ),
            );
            Ok(())
        })
        .await;
    }
}

/// Asks for nonces from a network of its own, so that what it uses up is not the newcomers'; returns how many were given.
async fn ask(gateway: SocketAddr, count: usize) -> Result<usize> {
    let client = reqwest::Client::builder()
        .local_address(ELSEWHERE)
        .build()?;
    let url = format!("http://{gateway}/v1/auth/nonce");
    let answers = (0..count).map(|_| async {
        let status = client.post(&url).send().await?.status();
        ensure!(status.is_success() || status == 429, "{status}");
        anyhow::Ok(usize::from(status.is_success()))
    });
    stream::iter(answers)
        .buffer_unordered(AT_ONCE)
        .try_fold(0, async |sum, one| Ok(sum + one))
        .await
}
