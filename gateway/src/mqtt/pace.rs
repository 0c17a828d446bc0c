//! How fast one device may publish.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use ashya_protocol::DeviceId;
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use super::MAX_PACKET_BYTES;

/// Bytes are counted in pieces of this size: a bucket of single bytes would have to be filled more often than once a
/// nanosecond.
const PIECE_BYTES: u32 = 1024;
/// A device may save up what it is allowed in so many seconds.
const BURST_SECONDS: u32 = 2;

/// What a device may send; a limit of 0 is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MqttRates {
    /// Packets a second, of which most are events.
    pub messages: u32,
    /// Bytes of payload a second.
    pub bytes: u32,
}

/// The allowances of all devices. A device keeps its own over its sessions: coming back begins nothing anew. Cheap to
/// clone.
#[derive(Clone)]
pub(super) struct Paces(Arc<Limits>);

struct Limits {
    messages: Option<DefaultKeyedRateLimiter<DeviceId>>,
    pieces: Option<DefaultKeyedRateLimiter<DeviceId>>,
    clock: DefaultClock,
}

/// What a session has taken from its device and not yet charged to the device's allowance.
#[derive(Debug, Default)]
pub(super) struct Debt {
    messages: u32,
    pieces: u32,
}

impl Paces {
    pub(super) fn new(rates: MqttRates) -> Self {
        let limiter = |per_second: u32, largest: u32| {
            let rate = NonZeroU32::new(per_second)?;
            // What is taken at once must fit into the bucket.
            let burst = per_second.saturating_mul(BURST_SECONDS).max(largest);
            let burst = NonZeroU32::new(burst).unwrap_or(rate);
            Some(RateLimiter::keyed(
                Quota::per_second(rate).allow_burst(burst),
            ))
        };
        Self(Arc::new(Limits {
            messages: limiter(rates.messages, 1),
            pieces: limiter(
                rates.bytes.div_ceil(PIECE_BYTES),
                MAX_PACKET_BYTES.div_ceil(PIECE_BYTES),
            ),
            clock: DefaultClock::default(),
        }))
    }

    /// Forgets the devices that may send as much as if they had never come.
    pub(super) fn forget_rested(&self) {
        let limiters = [&self.0.messages, &self.0.pieces];
        for limiter in limiters.into_iter().flatten() {
            limiter.retain_recent();
        }
    }
}

impl Debt {
    /// Notes a packet that was taken.
    pub(super) fn add(&mut self, bytes: usize) {
        let pieces = bytes.div_ceil(PIECE_BYTES as usize);
        self.messages += 1;
        self.pieces += u32::try_from(pieces).unwrap_or(u32::MAX);
    }

    /// Charges it; where the allowance is used up, the time after which it makes sense to try again. Nothing more should
    /// be taken from the device before.
    pub(super) fn pay(&mut self, device: DeviceId, paces: &Paces) -> Option<Duration> {
        let Limits {
            messages,
            pieces,
            clock,
        } = &*paces.0;
        charge(&mut self.messages, messages.as_ref(), device, clock)
            .or_else(|| charge(&mut self.pieces, pieces.as_ref(), device, clock))
    }
}

fn charge(
    owed: &mut u32,
    limiter: Option<&DefaultKeyedRateLimiter<DeviceId>>,
    device: DeviceId,
    clock: &DefaultClock,
) -> Option<Duration> {
    let owes = NonZeroU32::new(*owed)?;
    if let Some(limiter) = limiter
        && let Ok(Err(refused)) = limiter.check_key_n(&device, owes)
    {
        return Some(refused.wait_time_from(clock.now()));
    }
    *owed = 0;
    None
}

impl fmt::Debug for Paces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let devices = self.0.messages.as_ref().map(RateLimiter::len);
        f.debug_struct("Paces").field("devices", &devices).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAMERA: DeviceId = DeviceId::new([1; 20]);
    const OTHER: DeviceId = DeviceId::new([2; 20]);

    /// How many messages of a size go through at once, and the wait before the next.
    fn burst(paces: &Paces, device: DeviceId, bytes: usize) -> (u32, Duration) {
        let mut debt = Debt::default();
        for taken in 0..10_000 {
            debt.add(bytes);
            if let Some(wait) = debt.pay(device, paces) {
                return (taken, wait);
            }
        }
        (10_000, Duration::ZERO)
    }

    #[test]
    fn each_device_has_an_allowance_of_messages_and_of_bytes() {
        for (messages, bytes, size, at_once) in [
            (100, 0, 10, 200..=203),
            (0, 1 << 20, 10_000, 200..=220),
            (0, 1 << 20, 100, 2_000..=2_200),
            // The largest packet goes through even where it takes longer than a burst.
            (0, 1_024, MAX_PACKET_BYTES as usize, 1..=1),
            (0, 0, 1_000_000, 10_000..=10_000),
        ] {
            let paces = Paces::new(MqttRates { messages, bytes });
            for device in [CAMERA, OTHER] {
                let (taken, _) = burst(&paces, device, size);
                assert!(at_once.contains(&taken), "{messages} {bytes}: {taken}");
            }
        }
    }

    #[test]
    fn a_new_session_begins_nothing_anew() {
        let paces = Paces::new(MqttRates {
            messages: 10,
            bytes: 0,
        });
        assert!(burst(&paces, CAMERA, 1).0 >= 20);
        let (taken, wait) = burst(&paces, CAMERA, 1);
        assert!(taken <= 1 && wait <= Duration::from_millis(100), "{wait:?}");
    }

    #[test]
    fn a_device_is_forgotten_once_it_has_rested() {
        let paces = Paces::new(MqttRates {
            messages: 1_000,
            bytes: 1 << 20,
        });
        let known = || {
            let limiters = [&paces.0.messages, &paces.0.pieces];
            limiters.map(|limiter| limiter.as_ref().map(RateLimiter::len))
        };
        let mut debt = Debt::default();
        debt.add(1);
        assert_eq!(debt.pay(CAMERA, &paces), None);
        assert!(burst(&paces, OTHER, 1).0 >= 2_000);
        assert_eq!(known(), [Some(2); 2]);
        // Enough for one message, and far too little for two thousand.
        std::thread::sleep(Duration::from_millis(50));
        paces.forget_rested();
        assert_eq!(known(), [Some(1); 2]);
        let (taken, _) = burst(&paces, OTHER, 1);
        assert!(taken < 2_000, "forgotten too early: {taken}");
    }
}
