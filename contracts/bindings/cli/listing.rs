//! The listing document on its way to the gateway.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use ashya_protocol::rest::{Problem, SignedListing};
use ashya_protocol::{FeedId, ListingStream};
use reqwest::StatusCode;
use tokio::time::{Instant, sleep};
use url::Url;

/// Five events a second, the agent's default.
const DEFAULT_PER_MINUTE: u32 = 300;
/// The gateway learns of a new feed from the chain, a block or two later.
const FOLLOW_LIMIT: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(300);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Reads `NAME` or `NAME:PER_MINUTE`.
pub(super) fn parse_stream(text: &str) -> Result<ListingStream, String> {
    let (name, per_minute) = match text.split_once(':') {
        Some((name, number)) => (
            name,
            number
                .parse()
                .map_err(|_| format!("{number:?} is not a number of events"))?,
        ),
        None => (text, DEFAULT_PER_MINUTE),
    };
    Ok(ListingStream {
        events_per_minute: per_minute,
        name: name.parse().map_err(|error| format!("{error}"))?,
    })
}

/// Hands the signed listing to the gateway, and waits until it has seen the feed on the chain.
pub(super) async fn publish(gateway: &Url, feed: FeedId, listing: &SignedListing) -> Result<()> {
    let url = gateway
        .join(&format!("v1/feeds/{feed}/listing"))
        .context("the gateway's address")?;
    let client = reqwest::Client::builder()
        .timeout(REQUEST_TIMEOUT)
        .build()?;
    let deadline = Instant::now() + FOLLOW_LIMIT;
    loop {
        let response = client
            .put(url.clone())
            .json(listing)
            .send()
            .await
            .context("the gateway did not answer")?;
        match response.status() {
            status if status.is_success() => return Ok(()),
            StatusCode::NOT_FOUND if Instant::now() < deadline => sleep(PAUSE).await,
            status => {
                let body = response.bytes().await?;
                let reason = serde_json::from_slice::<Problem>(&body)
                    .map_or_else(|_| status.to_string(), |problem| problem.detail);
                bail!("the gateway refused the listing: {reason}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams() {
        for (text, expected) in [
            ("detections", Some(("detections", 300))),
            ("frames:60", Some(("frames", 60))),
            ("frames:", None),
            ("frames:x", None),
            ("Frames", None),
            ("", None),
        ] {
            let parsed = parse_stream(text).ok();
            let found = parsed
                .as_ref()
                .map(|stream| (stream.name.as_str(), stream.events_per_minute));
            assert_eq!(found, expected, "{text:?}");
        }
    }
}
