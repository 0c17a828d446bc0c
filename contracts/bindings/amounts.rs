//! Amounts as people write them.

use ashya_protocol::Wei;

/// Digits of an ETH after the point.
const DECIMALS: usize = 18;
/// Digits of a gwei after the point.
const GWEI_DECIMALS: usize = 9;

/// Reads a decimal amount of ETH exactly.
///
/// # Errors
/// When it is none, or finer than a wei.
pub fn parse_eth(text: &str) -> Result<Wei, String> {
    parse_units(text, DECIMALS)
        .ok_or_else(|| format!("expected an amount of ETH such as 0.001, found {text:?}"))
}

/// Reads a decimal amount of gwei exactly.
///
/// # Errors
/// When it is none, or finer than a wei.
pub fn parse_gwei(text: &str) -> Result<Wei, String> {
    parse_units(text, GWEI_DECIMALS)
        .ok_or_else(|| format!("expected an amount of gwei such as 20 or 0.5, found {text:?}"))
}

/// Writes an amount in ETH without losing a wei.
pub fn show_eth(amount: Wei) -> String {
    let (whole, fraction) = (amount.get() / Wei::ETH.get(), amount.get() % Wei::ETH.get());
    let fraction = format!("{fraction:0>DECIMALS$}");
    match fraction.trim_end_matches('0') {
        "" => format!("{whole} ETH"),
        digits => format!("{whole}.{digits} ETH"),
    }
}

/// Reads a duration into seconds: a number and one of s, m, h, d.
///
/// # Errors
/// When it is none.
pub fn parse_duration(text: &str) -> Result<u64, String> {
    let error = || format!("expected a duration such as 90s, 30m, 1h or 7d, found {text:?}");
    let unit = match text.chars().last().ok_or_else(error)? {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(error()),
    };
    let number: u64 = text[..text.len() - 1].parse().map_err(|_| error())?;
    number.checked_mul(unit).ok_or_else(error)
}

fn parse_units(text: &str, decimals: usize) -> Option<Wei> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if whole.is_empty() || fraction.len() > decimals {
        return None;
    }
    format!("{whole}{fraction:0<decimals$}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eth() {
        for (text, wei) in [
            ("0.001", Some(1_000_000_000_000_000)),
            ("1", Some(1_000_000_000_000_000_000)),
            ("2.5", Some(2_500_000_000_000_000_000)),
            ("0.000000000000000001", Some(1)),
            ("0.0000000000000000001", None),
            (".5", None),
            ("-1", None),
            ("1e3", None),
            ("", None),
        ] {
            assert_eq!(parse_eth(text).ok(), wei.map(Wei::new), "{text:?}");
        }
        for (text, wei) in [
            ("20", Some(20_000_000_000)),
            ("0.5", Some(500_000_000)),
            ("0.0000000001", None),
            ("-1", None),
        ] {
            assert_eq!(parse_gwei(text).ok(), wei.map(Wei::new), "{text:?}");
        }
        for (wei, text) in [
            (0, "0 ETH"),
            (1, "0.000000000000000001 ETH"),
            (1_500_000_000_000_000_000, "1.5 ETH"),
        ] {
            assert_eq!(show_eth(Wei::new(wei)), text);
        }
    }

    #[test]
    fn durations() {
        for (text, seconds) in [
            ("90s", Some(90)),
            ("30m", Some(1800)),
            ("1h", Some(3600)),
            ("7d", Some(604_800)),
            ("", None),
            ("h", None),
            ("1", None),
            ("1é", None),
            ("99999999999999999999d", None),
        ] {
            assert_eq!(parse_duration(text).ok(), seconds, "{text:?}");
        }
    }
}
