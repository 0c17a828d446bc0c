use std::time::Duration;

use ashya_protocol::{Address, Boot, ContentType, DeviceKey, Domain};

use super::*;
use crate::metrics::Metrics;
use crate::voice::now_us;

/// The figures of a device that has done nothing.
pub(crate) fn idle() -> Figures {
    let key = DeviceKey::from_bytes([5; 32]).unwrap();
    let domain = Domain {
        chain_id: 31337,
        ledger: Address::new([7; 20]),
    };
    let streams = [StreamName::DETECTIONS, StreamName::FRAMES];
    Figures {
        source: SourceCounters::default(),
        looked: Looked::default(),
        voice: Voice::new(key, domain, Boot::try_from(3).unwrap()),
        streams: streams.map(|name| name.parse().unwrap()).into(),
        demand: Demand::default(),
        link: LinkFigures::default(),
    }
}

#[test]
fn metrics_are_read_when_they_are_asked_for() {
    let figures = idle();
    let (source, looked) = (figures.source.clone(), figures.looked.clone());
    let (voice, demand) = (figures.voice.clone(), figures.demand.clone());
    let metrics = Metrics::new(figures);
    source.frame();
    source.frame();
    source.stall();
    looked.frame();
    looked.run(Duration::from_millis(1_500));
    looked.failure();
    looked.skip_snapshot();
    for _ in 0..3 {
        let (stream, kind) = (StreamName::DETECTIONS, ContentType::JSON);
        voice.sign(stream, kind, now_us().unwrap(), *b"{}").unwrap();
    }
    demand.update(br#"{"streams":["frames"]}"#).unwrap();
    let text = metrics.render();
    for line in [
        "# TYPE ashya_agent_source_frames counter",
        "ashya_agent_source_frames_total 2",
        "ashya_agent_source_stalls_total 1",
        "ashya_agent_source_dropped_total 0",
        "ashya_agent_looked_frames_total 1",
        "ashya_agent_inferences_total 1",
        "ashya_agent_inference_seconds_total 1.5",
        "ashya_agent_inference_failures_total 1",
        "ashya_agent_snapshots_skipped_total 1",
        "ashya_agent_events_signed_total{stream=\"detections\"} 3",
        "ashya_agent_events_signed_total{stream=\"frames\"} 0",
        "ashya_agent_stream_watched{stream=\"detections\"} 0",
        "ashya_agent_stream_watched{stream=\"frames\"} 1",
        "# TYPE ashya_agent_mqtt_connected gauge",
        "ashya_agent_mqtt_connected 0",
        "ashya_agent_events_dropped_total{kind=\"frame\"} 0",
        "# EOF",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}:\n{text}");
    }
}

/// The table above is what people make alerts of.
#[test]
fn every_metric_is_documented() {
    let text = Metrics::new(idle()).render();
    let documented = include_str!("../figures.rs");
    let readme = include_str!("../../../README.md");
    let names: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# HELP ashya_agent_")?.split(' ').next())
        .collect();
    assert_eq!(names.len(), 21, "{names:?}");
    for name in names {
        let row = |text: &str| {
            text.contains(&format!("`{name}`"))
                || text.contains(&format!("`{name}_total"))
                || text.contains(&format!("`{name}{{"))
        };
        assert!(row(documented), "{name} in the table");
        assert!(row(readme), "{name} in the README");
    }
}
