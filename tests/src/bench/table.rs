//! Medians and how figures stand in a column.

/// The median; not a number when there are none.
pub(crate) fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

/// The value below which a share of sorted figures lies.
pub(crate) fn quantile(sorted: &[u64], share: f64) -> u64 {
    // Of some millions of figures at most, so it fits.
    let index = (sorted.len() as f64 * share) as usize;
    let last = sorted.len().saturating_sub(1);
    sorted.get(index.min(last)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        for (figures, expected) in [
            (&[3.0][..], 3.0),
            (&[9.0, 1.0, 4.0], 4.0),
            (&[1.0, 2.0, 3.0, 10.0], 2.5),
        ] {
            assert!((median(figures) - expected).abs() < 1e-9, "{figures:?}");
        }
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn quantiles() {
        let hundred: Vec<u64> = (0..100).collect();
        for (share, expected) in [(0.0, 0), (0.5, 50), (0.99, 99), (1.0, 99)] {
            assert_eq!(quantile(&hundred, share), expected);
        }
        assert_eq!(quantile(&[], 0.5), 0);
    }
}
