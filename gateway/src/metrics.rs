//! What the gateway counts, in the OpenMetrics text format (1.0.0), which Prometheus reads, on a listener of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabelSet, EncodeLabelValue, EncodeMetric, text,
};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::Registry;

use crate::retention::Prune;

/// Why an event was refused. The order is the order of the checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rejection {
    /// Not an envelope.
    Malformed,
    /// More bytes than an envelope may have.
    TooLarge,
    /// Published on a topic that is not the device's.
    Topic,
    /// The signer is not the device that the envelope names.
    Signature,
    /// Validly signed, but the envelope's device is not the session's.
    Device,
    /// The envelope's stream is not the topic's, or is not registered.
    Stream,
    /// Not after the last accepted event of its stream.
    Replayed,
    /// Its device's start is further ahead of now than clocks may differ.
    Future,
}

/// Why an accepted event did not reach a watcher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Loss {
    /// The socket reads too slowly.
    Slow,
    /// The feed's clock stands still.
    Paused,
}

/// The gateway's counters and gauges. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    /// `ashya_events_accepted_total`: events that passed every check.
    pub events_accepted: Counter,
    /// `ashya_events_delivered_total`: events written to a watcher, once for each watcher.
    pub events_delivered: Counter,
    /// `ashya_late_writes_total`: writes that ended when the paid time of something in them was over already.
    pub late_writes: Counter,
    /// `ashya_sockets`: open websockets and event streams.
    pub sockets: Gauge,
    /// `ashya_watches`: feeds being watched, once for each watcher.
    pub watches: Gauge,
    /// `ashya_devices_online`: devices that hold an MQTT session.
    pub devices_online: Gauge,
    /// `ashya_bridge_connected`: 1 while the owner's broker sends us its events.
    pub bridge_connected: Gauge,
    /// `ashya_offers_total`: times that a wallet was told to pay first.
    pub offers: Counter,
    /// `ashya_sessions_total`: wallets that signed in.
    pub sessions: Counter,
    /// `ashya_chain_head_number`: height of the newest block whose events are applied.
    pub chain_head_number: Gauge,
    /// `ashya_chain_head_timestamp_seconds`: its Unix second.
    pub chain_head_timestamp: Gauge,
    /// `ashya_chain_errors_total`: failed rounds of the chain follower.
    pub chain_errors: Counter,
    /// `ashya_chain_rebuilds_total`: times that the index was rebuilt because the chain's past had changed.
    pub chain_rebuilds: Counter,
    /// `ashya_chain_reorgs_total`: times that another branch of the chain was taken over.
    pub chain_reorgs: Counter,
    /// `ashya_chain_omissions_total`: answers of nodes that left out events of the ledger, or told others.
    pub chain_omissions: Counter,
    /// `ashya_chain_failovers_total`: times that another node was asked because one failed or stayed behind.
    pub chain_failovers: Counter,
    /// `ashya_chain_finalized_number`: height of the newest block that the chain will not take back.
    pub chain_finalized_number: Gauge,
    /// `ashya_outage_pauses_total`: feeds paused because their device was silent.
    pub outage_pauses: Counter,
    /// `ashya_outage_resumes_total`: feeds resumed because their device was back.
    pub outage_resumes: Counter,
    /// `ashya_outage_failures_total`: pauses and resumes that did not reach the ledger.
    pub outage_failures: Counter,
    /// `ashya_history_bytes`: bytes of all events in history.
    pub history_bytes: Gauge,
    /// `ashya_write_wait_seconds`: for how long the present write of positions and history has stood still.
    pub write_wait: Gauge,
    /// `ashya_connections_refused_total`: connections closed because their address had as many as it may.
    pub connections_refused: Counter,
    /// `ashya_publishes_held_total`: publishes after which a device had to wait, since it publishes too fast.
    pub publishes_held: Counter,
    certificate_expiry: CertificateExpiry,
    rejected: Family<RejectionLabels, Counter>,
    dropped: Family<LossLabels, Counter>,
    pruned: Family<PruneLabels, Counter>,
}

/// Unix second at which the certificate ends. Without a certificate there is no series: an alert must not see one that
/// ended in 1970.
#[derive(Debug, Clone, Default)]
struct CertificateExpiry(Arc<AtomicU64>);

impl Collector for CertificateExpiry {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let unix = self.0.load(Ordering::Relaxed);
        if unix == 0 {
            return Ok(());
        }
        let gauge = ConstGauge::new(unix);
        let metric = encoder.encode_descriptor(
            "tls_certificate_expiry_timestamp_seconds",
            "Unix second at which the certificate ends",
            None,
            gauge.metric_type(),
        )?;
        gauge.encode(metric)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RejectionLabels {
    reason: Rejection,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LossLabels {
    reason: Loss,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PruneLabels {
    reason: Prune,
}

impl Metrics {
    /// All metrics at zero.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("ashya");
        let rejected = Family::<RejectionLabels, Counter>::default();
        for reason in Rejection::ALL {
            // A series that is there from the start lets a rate begin with the first refusal.
            drop(rejected.get_or_create(&RejectionLabels { reason }));
        }
        let dropped = Family::<LossLabels, Counter>::default();
        for reason in Loss::ALL {
            drop(dropped.get_or_create(&LossLabels { reason }));
        }
        registry.register(
            "events_rejected",
            "Events refused, by reason",
            rejected.clone(),
        );
        registry.register(
            "events_dropped",
            "Events a watcher did not get at once or at all, by reason",
            dropped.clone(),
        );
        let pruned = Family::<PruneLabels, Counter>::default();
        for reason in Prune::ALL {
            drop(pruned.get_or_create(&PruneLabels { reason }));
        }
        registry.register(
            "history_pruned",
            "Events taken out of history, by reason",
            pruned.clone(),
        );
        let certificate_expiry = CertificateExpiry::default();
        registry.register_collector(Box::new(certificate_expiry.clone()));
        let mut counter = |name: &str, help: &str| {
            let metric = Counter::default();
            registry.register(name, help, metric.clone());
            metric
        };
        let events_accepted = counter("events_accepted", "Events that passed every check");
        let events_delivered = counter("events_delivered", "Events written to a watcher");
        let late_writes = counter("late_writes", "Writes that ended after the paid time did");
        let offers = counter("offers", "Times a wallet was told to pay first");
        let sessions = counter("sessions", "Wallets that signed in");
        let chain_errors = counter("chain_errors", "Failed rounds of the chain follower");
        let chain_reorgs = counter("chain_reorgs", "Branches of the chain taken over");
        let chain_omissions = counter("chain_omissions", "Answers with missing or made-up logs");
        let chain_failovers = counter("chain_failovers", "Times another node was asked instead");
        let chain_rebuilds = counter("chain_rebuilds", "Rebuilds after the chain's past changed");
        let outage_pauses = counter("outage_pauses", "Feeds paused for a silent device");
        let outage_resumes = counter("outage_resumes", "Feeds resumed for a device that is back");
        let outage_failures = counter("outage_failures", "Pauses and resumes that failed");
        let connections_refused = counter(
            "connections_refused",
            "Connections closed because their address had as many as it may",
        );
        let publishes_held = counter(
            "publishes_held",
            "Publishes after which a device had to wait, since it publishes too fast",
        );
        let mut gauge = |name: &str, help: &str| {
            let metric: Gauge = Gauge::default();
            registry.register(name, help, metric.clone());
            metric
        };
        Self {
            events_accepted,
            events_delivered,
            late_writes,
            sockets: gauge("sockets", "Open websockets and event streams"),
            watches: gauge("watches", "Feeds being watched, once for each watcher"),
            devices_online: gauge("devices_online", "Devices that hold an MQTT session"),
            bridge_connected: gauge(
                "bridge_connected",
                "Whether the broker of --mqtt-bridge sends its events",
            ),
            offers,
            sessions,
            chain_head_number: gauge("chain_head_number", "Height of the newest applied block"),
            chain_head_timestamp: gauge(
                "chain_head_timestamp_seconds",
                "Unix second of the newest applied block",
            ),
            chain_finalized_number: gauge(
                "chain_finalized_number",
                "Height of the newest final block",
            ),
            chain_errors,
            chain_rebuilds,
            chain_reorgs,
            chain_omissions,
            chain_failovers,
            outage_pauses,
            outage_resumes,
            outage_failures,
            history_bytes: gauge("history_bytes", "Bytes of all events in history"),
            write_wait: gauge(
                "write_wait_seconds",
                "How long the present write of positions and history stands still",
            ),
            connections_refused,
            publishes_held,
            certificate_expiry,
            rejected,
            dropped,
            pruned,
            registry: Arc::new(registry),
        }
    }

    /// Counts one refused event in `ashya_events_rejected_total{reason}`.
    pub fn rejected(&self, reason: Rejection) {
        self.rejected
            .get_or_create(&RejectionLabels { reason })
            .inc();
    }

    /// Counts events that one watcher did not get, or not before a pause turned out to be over, in `ashya_events_dropped_total{reason}`.
    pub fn dropped(&self, reason: Loss, events: u64) {
        self.dropped
            .get_or_create(&LossLabels { reason })
            .inc_by(events);
    }

    /// Counts events that history no longer keeps in `ashya_history_pruned_total{reason}`.
    pub(crate) fn pruned(&self, reason: Prune, events: u64) {
        self.pruned
            .get_or_create(&PruneLabels { reason })
            .inc_by(events);
    }

    /// Sets `ashya_tls_certificate_expiry_timestamp_seconds`, in Unix seconds.
    pub(crate) fn certificate_expires_at(&self, unix: u64) {
        self.certificate_expiry.0.store(unix, Ordering::Relaxed);
    }

    /// The metrics in the OpenMetrics text format.
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = text::encode(&mut text, &self.registry);
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Rejection {
    /// Every reason.
    pub const ALL: [Self; 8] = [
        Self::Malformed,
        Self::TooLarge,
        Self::Topic,
        Self::Signature,
        Self::Device,
        Self::Stream,
        Self::Replayed,
        Self::Future,
    ];

    /// The reason as metrics and notices name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::TooLarge => "too-large",
            Self::Topic => "topic",
            Self::Signature => "signature",
            Self::Device => "device",
            Self::Stream => "stream",
            Self::Replayed => "replayed",
            Self::Future => "future",
        }
    }
}

impl Loss {
    /// Every reason.
    pub const ALL: [Self; 2] = [Self::Slow, Self::Paused];

    /// The reason as metrics name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Slow => "slow",
            Self::Paused => "paused",
        }
    }
}

impl EncodeLabelValue for Rejection {
    fn encode(
        &self,
        encoder: &mut prometheus_client::encoding::LabelValueEncoder<'_>,
    ) -> Result<(), std::fmt::Error> {
        EncodeLabelValue::encode(&self.as_str(), encoder)
    }
}

impl EncodeLabelValue for Prune {
    fn encode(
        &self,
        encoder: &mut prometheus_client::encoding::LabelValueEncoder<'_>,
    ) -> Result<(), std::fmt::Error> {
        EncodeLabelValue::encode(&self.as_str(), encoder)
    }
}

impl EncodeLabelValue for Loss {
    fn encode(
        &self,
        encoder: &mut prometheus_client::encoding::LabelValueEncoder<'_>,
    ) -> Result<(), std::fmt::Error> {
        EncodeLabelValue::encode(&self.as_str(), encoder)
    }
}
