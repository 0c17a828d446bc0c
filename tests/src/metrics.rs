use anyhow::{Context, Result};

/// One reading of a gateway's metrics, in the OpenMetrics text format.
#[derive(Debug, Clone)]
pub struct Metrics(String);

impl Metrics {
    /// Wraps the text of `GET /metrics`.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// A sample, such as `ashya_sockets` or `ashya_events_rejected_total{reason="topic"}`; zero when it is absent, as a
    /// counter is before it first counts.
    ///
    /// # Errors
    /// When its value is no number.
    pub fn value(&self, sample: &str) -> Result<f64> {
        let line = self
            .0
            .lines()
            .find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
        match line {
            Some(value) => {
                let number = value.split_whitespace().next().unwrap_or_default();
                number
                    .parse()
                    .with_context(|| format!("{sample} has the value {value:?}"))
            }
            None => Ok(0.0),
        }
    }

    /// How many events were refused for a reason.
    ///
    /// # Errors
    /// When the counter is no number.
    pub fn rejected(&self, reason: &str) -> Result<f64> {
        self.value(&format!(
            "ashya_events_rejected_total{{reason=\"{reason}\"}}"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_found_whole() {
        let metrics = Metrics::new(
            "# TYPE ashya_sockets gauge\nashya_sockets 3\nashya_events_rejected_total{reason=\"topic\"} 7\n".into(),
        );
        assert_eq!(metrics.value("ashya_sockets").unwrap(), 3.0);
        assert_eq!(metrics.value("ashya_sock").unwrap(), 0.0);
        assert_eq!(metrics.rejected("topic").unwrap(), 7.0);
        assert_eq!(metrics.rejected("device").unwrap(), 0.0);
    }
}
