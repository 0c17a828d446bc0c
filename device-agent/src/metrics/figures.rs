use std::fmt;

use ashya_protocol::StreamName;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::page::Page;
use crate::demand::Demand;
use crate::link::LinkFigures;
use crate::looked::Looked;
use crate::source::SourceCounters;
use crate::voice::Voice;

/// Where the metrics are read from. Totals are since the start; all names begin with `ashya_agent_`.
///
/// | name | what |
/// |---|---|
/// | `source_frames_total` | frames that the source gave |
/// | `source_dropped_total` | frames that a newer one replaced before anybody looked at them |
/// | `source_stalls_total` | times that the source gave no whole picture for as long as the watchdog waits |
/// | `source_reconnects_total` | times that the source was opened again |
/// | `source_decode_errors_total` | pictures that came damaged |
/// | `looked_frames_total` | frames that were looked at, whether the model ran or not |
/// | `inferences_total` | times that the model ran |
/// | `inference_seconds_total` | seconds that it took, preparation and decoding included |
/// | `inference_failures_total` | times that it failed; after ten in a row the agent ends |
/// | `snapshots_skipped_total` | pictures that were the best of their object but found no room in memory |
/// | `events_signed_total{stream}` | events of each stream that were signed and handed on |
/// | `stream_watched{stream}` | 1 while somebody who paid watches the stream |
/// | `mqtt_connected` | 1 while there is a connection to the broker |
/// | `mqtt_connections_total` | connections that were made |
/// | `events_acknowledged_total` | events that the gateway has |
/// | `events_refused_total` | events that the gateway does not take |
/// | `events_dropped_total{kind}` | what was given up: an `event` or a `picture` that made room for newer ones on the disk, a `frame` that nobody could take at once |
/// | `memory_events` | events that are in memory alone |
/// | `spool_events`, `spool_bytes` | events that wait on the disk, and their size |
/// | `spool_failed` | 1 while the disk takes no events |
#[derive(Debug)]
pub(crate) struct Figures {
    pub(crate) source: SourceCounters,
    pub(crate) looked: Looked,
    pub(crate) voice: Voice,
    /// All that the device publishes, so that a stream is there before its first event.
    pub(crate) streams: Vec<StreamName>,
    pub(crate) demand: Demand,
    pub(crate) link: LinkFigures,
}

impl Collector for Figures {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page(encoder);
        self.source(&mut page)?;
        self.looked(&mut page)?;
        self.streams(&mut page)?;
        self.link(&mut page)
    }
}

impl Figures {
    fn source(&self, page: &mut Page<'_>) -> fmt::Result {
        let source = self.source.read();
        page.counter(
            "source_frames",
            "Frames that the source gave",
            source.frames,
        )?;
        page.counter(
            "source_dropped",
            "Frames that a newer one replaced before anybody looked at them",
            source.dropped,
        )?;
        page.counter(
            "source_stalls",
            "Times that the source gave no whole picture for as long as the watchdog waits",
            source.stalls,
        )?;
        page.counter(
            "source_reconnects",
            "Times that the source was opened again",
            source.reconnects,
        )?;
        page.counter(
            "source_decode_errors",
            "Pictures that came damaged",
            source.decode_errors,
        )
    }

    fn looked(&self, page: &mut Page<'_>) -> fmt::Result {
        let looked = self.looked.read();
        page.counter("looked_frames", "Frames that were looked at", looked.frames)?;
        page.counter("inferences", "Times that the model ran", looked.runs)?;
        page.seconds(
            "inference_seconds",
            "Seconds that the model took, preparation and decoding included",
            looked.run_micros as f64 / 1e6,
        )?;
        page.counter(
            "inference_failures",
            "Times that the model failed",
            looked.failures,
        )?;
        page.counter(
            "snapshots_skipped",
            "Pictures that were the best of their object but found no room in memory",
            looked.snapshots_skipped,
        )
    }

    fn streams(&self, page: &mut Page<'_>) -> fmt::Result {
        let last = self.voice.last();
        // Numbers of a start begin with 0 and have no gaps.
        let signed = |stream: &StreamName| last.get(stream).map_or(0, |last| last.get() + 1);
        let all = || self.streams.iter().map(|stream| (stream.as_str(), stream));
        page.counters(
            "events_signed",
            "Events that were signed and handed on, by stream",
            "stream",
            all().map(|(name, stream)| (name, signed(stream))),
        )?;
        page.gauges(
            "stream_watched",
            "Whether somebody who paid watches the stream",
            "stream",
            all().map(|(name, _)| (name, u64::from(self.demand.wants(name)))),
        )
    }

    fn link(&self, page: &mut Page<'_>) -> fmt::Result {
        let link = self.link.read();
        page.gauge(
            "mqtt_connected",
            "Whether there is a connection to the broker",
            u64::from(link.is_connected),
        )?;
        page.counter(
            "mqtt_connections",
            "Connections that were made",
            link.connections,
        )?;
        page.counter(
            "events_acknowledged",
            "Events that the gateway has",
            link.tally.acknowledged,
        )?;
        page.counter(
            "events_refused",
            "Events that the gateway does not take",
            link.tally.refused,
        )?;
        page.counters(
            "events_dropped",
            "Events that were given up, by kind",
            "kind",
            [
                ("event", link.tally.dropped_events),
                ("picture", link.tally.dropped_pictures),
                ("frame", link.dropped_frames),
            ],
        )?;
        page.gauge(
            "memory_events",
            "Events that are in memory alone",
            link.in_memory,
        )?;
        page.gauge(
            "spool_events",
            "Events that wait on the disk",
            link.held.events,
        )?;
        page.gauge("spool_bytes", "Their size", link.held.bytes)?;
        page.gauge(
            "spool_failed",
            "Whether the disk takes no events",
            u64::from(link.is_disk_away),
        )
    }
}

#[cfg(test)]
pub(super) mod tests;
