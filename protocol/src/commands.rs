use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::names::StreamName;
use crate::numbers::{Boot, Seq};

/// What `…/down/demand` says, retained: the streams of the device that somebody with access watches.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Demand {
    /// Their names, in order.
    pub streams: BTreeSet<StreamName>,
}

/// What `…/down/notice` says: an event was refused for good, so the device need not send it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// The stream of the topic that it came by.
    pub stream: StreamName,
    /// The start that the envelope names, where it could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<Boot>,
    /// The number that the envelope names, where it could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<Seq>,
    /// Why: a label of `ashya_events_rejected_total`, such as `signature`. More may come, so it stays a text.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_read_as_documented() {
        let demand: Demand =
            serde_json::from_str(r#"{"streams":["frames","detections"]}"#).unwrap();
        assert_eq!(
            serde_json::to_string(&demand).unwrap(),
            r#"{"streams":["detections","frames"]}"#
        );
        let json = r#"{"stream":"detections","reason":"malformed"}"#;
        let notice: Notice = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&notice).unwrap(), json);
    }
}
