//! What systemd is told (sd_notify(3)); nothing where it did not ask.

use sd_notify::NotifyState;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// The gateway listens.
pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The gateway drains.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// The certificate is read again, until [`ready`].
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(%error, "the system's clock does not tell the time"),
    }
}

/// Says that the gateway is alive, twice as often as systemd asks for, until `end`. It runs among all other tasks, so
/// that a gateway whose threads are all stuck falls silent.
pub(super) async fn watchdog(end: CancellationToken) {
    let Some(within) = sd_notify::watchdog_enabled().filter(|within| !within.is_zero()) else {
        return;
    };
    let mut ticks = interval(within / 2);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = end.cancelled() => return,
            _ = ticks.tick() => tell(&[NotifyState::Watchdog]),
        }
    }
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "systemd cannot be told");
    }
}
