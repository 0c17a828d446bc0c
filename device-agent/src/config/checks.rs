//! What sections of the configuration share.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use super::ConfigError;

/// Highest rate that makes sense; a camera gives 60.
const MAX_FPS: f64 = 60.0;
/// One frame in ten minutes.
const MIN_FPS: f64 = 1.0 / 600.0;
/// Shortest time that anything waits, in seconds.
const MIN_SECONDS: f64 = 0.1;
/// A day, in seconds.
const MAX_SECONDS: f64 = 86_400.0;

pub(super) fn refuse(name: &'static str, reason: impl Display) -> ConfigError {
    ConfigError::Value {
        name,
        reason: reason.to_string(),
    }
}

pub(super) fn parse<T: FromStr<Err: Display>>(
    name: &'static str,
    text: &str,
) -> Result<T, ConfigError> {
    text.parse()
        .map_err(|error| refuse(name, format!("{error} (found {text:?})")))
}

/// The time between two of what comes `rate` times a second.
pub(super) fn interval(name: &'static str, rate: f64) -> Result<Duration, ConfigError> {
    if (MIN_FPS..=MAX_FPS).contains(&rate) {
        Ok(Duration::from_secs_f64(rate.recip()))
    } else {
        let reason = format!("{rate} frames a second, expected 1/600 to {MAX_FPS}");
        Err(refuse(name, reason))
    }
}

/// Refuses a label that the model does not report, with what to do; it reports all where none is named.
pub(super) fn check_reported(label: &String, reported: &[String]) -> Result<(), String> {
    if reported.is_empty() || reported.contains(label) {
        Ok(())
    } else {
        Err(format!(
            "`{label}` is not reported; add it to `labels` in [model]"
        ))
    }
}

/// A time of `value` seconds, from a tenth of one to a day.
pub(super) fn seconds(name: &'static str, value: f64) -> Result<Duration, ConfigError> {
    if (MIN_SECONDS..=MAX_SECONDS).contains(&value) {
        Ok(Duration::from_secs_f64(value))
    } else {
        let reason = format!("{value} seconds, expected {MIN_SECONDS} to {MAX_SECONDS}");
        Err(refuse(name, reason))
    }
}
