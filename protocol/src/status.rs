use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::detections::ModelInfo;
use crate::names::StreamName;
use crate::numbers::Seq;

/// Most seconds between two `status` events of a device that runs: who hears none for longer knows that something is
/// withheld, or that the device does not run.
pub const STATUS_SECONDS: u64 = 10;

/// The JSON payload of a `status` event: a device's signed word that it is alive, and what it has said so far.
///
/// `last` makes "nothing seen" differ from "withheld". Whoever receives a status and, by the next one, has not received a
/// stream up to the number that it names, is missing events: those that the device itself had to drop are counted in
/// `drops`, and the rest are late or were withheld. A stream that is not named has not spoken since the start.
///
/// Counts are totals since the start, which the event's boot names. What does not apply is absent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Seconds since the start, of a clock that never jumps.
    pub uptime_seconds: u64,
    /// Seconds until the next status at most.
    pub next_seconds: u64,
    /// The number of the last event of each other stream, in this boot.
    pub last: BTreeMap<StreamName, Seq>,
    /// The model that looks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelInfo>,
    /// Frames looked at a second, since the last status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fps: Option<f32>,
    /// Milliseconds that the model took for one, on average since the last status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inference_ms: Option<f32>,
    /// Times that the model failed, each of which cost a picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inference_failures: Option<u64>,
    /// What was signed and will not come.
    pub drops: Drops,
    /// What waits for the gateway.
    pub waiting: WaitingEvents,
    /// Connections to the gateway that were made.
    pub connections: u64,
    /// Times that the device's clock was set by more than two seconds while it ran.
    pub clock_jumps: u64,
    /// What happened to the source of the pictures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceStatus>,
}

/// Events that were signed, so that their numbers are used up, and were not sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Drops {
    /// Pictures that nobody could take while they were new.
    pub frames: u64,
    /// Kept events for which there was no room any more.
    pub events: u64,
    /// Kept pictures for which there was no room any more.
    pub pictures: u64,
    /// Events that the gateway refused.
    pub refused: u64,
}

/// Events that wait for the gateway.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WaitingEvents {
    /// Events on the device's disk.
    pub spooled: u64,
    /// Their bytes.
    pub spooled_bytes: u64,
    /// Events that are in memory alone.
    pub memory: u64,
    /// Whether the disk takes no events, so that a kill would lose those that wait.
    pub disk_failed: bool,
}

/// What happened to the source of the pictures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceStatus {
    /// Frames that it gave.
    pub frames: u64,
    /// Frames that a newer one replaced before anybody looked at them.
    pub dropped: u64,
    /// Times that it gave nothing for too long, and was closed.
    pub stalls: u64,
    /// Times that it was opened again.
    pub reconnects: u64,
    /// Pictures that came damaged.
    pub decode_errors: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thermometers_status_has_no_words_for_pictures() {
        let status = Status {
            uptime_seconds: 7,
            next_seconds: STATUS_SECONDS,
            last: [("temperature".parse().unwrap(), Seq::FIRST)].into(),
            model: None,
            fps: None,
            inference_ms: None,
            inference_failures: None,
            drops: Drops::default(),
            waiting: WaitingEvents::default(),
            connections: 1,
            clock_jumps: 0,
            source: None,
        };
        let json = serde_json::to_string(&status).unwrap();
        assert_eq!(
            json,
            r#"{"uptimeSeconds":7,"nextSeconds":10,"last":{"temperature":0},"drops":{"frames":0,"events":0,"pictures":0,"refused":0},"waiting":{"spooled":0,"spooledBytes":0,"memory":0,"diskFailed":false},"connections":1,"clockJumps":0}"#
        );
        assert_eq!(serde_json::from_str::<Status>(&json).unwrap(), status);
    }
}
