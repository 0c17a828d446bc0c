use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail};

/// Time between two looks at something that is awaited.
pub(crate) const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Asks again and again until the answer is `Some`.
///
/// # Errors
/// The first error of `ask`, or that `what` did not come within `limit`.
pub async fn eventually<T>(
    what: &str,
    limit: Duration,
    mut ask: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(answer) = ask().await? {
            return Ok(answer);
        }
        if Instant::now() >= deadline {
            bail!("waited {limit:?} in vain for {what}");
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// Microseconds since the Unix epoch by the wall clock.
pub fn now_us() -> u64 {
    let elapsed = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("the wall clock stands after 1970");
    u64::try_from(elapsed.as_micros()).expect("microseconds fit for 580,000 years")
}

/// Seconds since the Unix epoch by the wall clock.
pub fn now() -> u64 {
    now_us() / 1_000_000
}
