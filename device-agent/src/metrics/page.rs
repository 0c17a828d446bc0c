use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// The page of metrics while it is written.
pub(super) struct Page<'a>(pub(super) DescriptorEncoder<'a>);

impl Page<'_> {
    /// A total that never falls; its name gets the suffix `_total`.
    pub(super) fn counter(&mut self, name: &str, help: &str, total: u64) -> fmt::Result {
        self.metric(name, help, &ConstCounter::new(total))
    }

    /// A total of seconds.
    pub(super) fn seconds(&mut self, name: &str, help: &str, total: f64) -> fmt::Result {
        self.metric(name, help, &ConstCounter::new(total))
    }

    /// Totals that differ by the value of a label.
    pub(super) fn counters<'b>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        totals: impl IntoIterator<Item = (&'b str, u64)>,
    ) -> fmt::Result {
        let totals = totals.into_iter();
        self.family(
            (name, help, label),
            totals.map(|(value, total)| (value, ConstCounter::new(total))),
        )
    }

    /// What rises and falls.
    pub(super) fn gauge(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.metric(name, help, &ConstGauge::new(value))
    }

    /// Gauges that differ by the value of a label.
    pub(super) fn gauges<'b>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = (&'b str, u64)>,
    ) -> fmt::Result {
        let values = values.into_iter();
        self.family(
            (name, help, label),
            values.map(|(value, gauge)| (value, ConstGauge::new(gauge))),
        )
    }

    fn metric(&mut self, name: &str, help: &str, metric: &impl EncodeMetric) -> fmt::Result {
        let encoder = self
            .0
            .encode_descriptor(name, help, None, metric.metric_type())?;
        metric.encode(encoder)
    }

    fn family<'b, M: EncodeMetric>(
        &mut self,
        (name, help, label): (&str, &str, &str),
        metrics: impl Iterator<Item = (&'b str, M)>,
    ) -> fmt::Result {
        let mut metrics = metrics.peekable();
        let Some((_, first)) = metrics.peek() else {
            return Ok(());
        };
        let kind = first.metric_type();
        let mut encoder = self.0.encode_descriptor(name, help, None, kind)?;
        for (value, metric) in metrics {
            metric.encode(encoder.encode_family(&[(label, value)])?)?;
        }
        Ok(())
    }
}
