use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::ids::DeviceId;
use crate::names::StreamName;

/// First levels of every topic; the second is the version of the scheme.
const ROOT: &str = "ashya/v1/";

/// An MQTT topic of Ashya.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Topic {
    /// `ashya/v1/{device}/up/{stream}`: events of the device.
    Up(DeviceId, StreamName),
    /// `ashya/v1/{device}/down/demand`: which streams somebody watches; retained.
    Demand(DeviceId),
    /// `ashya/v1/{device}/down/notice`: refusals with their reason.
    Notice(DeviceId),
    /// `ashya/v1/{device}/presence`: `online` or `offline`; retained, last will, unsigned.
    Presence(DeviceId),
}

/// What a device may subscribe to: its own commands, alone or all at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TopicFilter {
    /// One topic.
    One(Topic),
    /// `ashya/v1/{device}/down/#` or `…/down/+`.
    AllDown(DeviceId),
}

/// Not a topic of Ashya.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "not an Ashya topic: expected {ROOT}DEVICE/up/STREAM, …/down/demand, …/down/notice or …/presence"
)]
pub struct ParseTopicError;

impl Topic {
    /// The device whose topic this is.
    pub const fn device(&self) -> DeviceId {
        match self {
            Self::Up(device, _)
            | Self::Demand(device)
            | Self::Notice(device)
            | Self::Presence(device) => *device,
        }
    }

    /// Whether `device` may publish here: its own events and presence, nothing else.
    pub fn may_publish(&self, device: DeviceId) -> bool {
        self.device() == device && matches!(self, Self::Up(..) | Self::Presence(_))
    }
}

impl TopicFilter {
    /// Whether `device` may subscribe here: its own commands, nothing else.
    pub fn may_subscribe(&self, device: DeviceId) -> bool {
        match self {
            Self::One(topic @ (Topic::Demand(_) | Topic::Notice(_))) => topic.device() == device,
            Self::One(_) => false,
            Self::AllDown(owner) => *owner == device,
        }
    }

    /// Whether a message on `topic` goes to a subscriber of this filter.
    pub fn matches(&self, topic: &Topic) -> bool {
        match self {
            Self::One(one) => one == topic,
            Self::AllDown(device) => {
                topic.device() == *device && matches!(topic, Topic::Demand(_) | Topic::Notice(_))
            }
        }
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Up(device, stream) => write!(f, "{ROOT}{device}/up/{stream}"),
            Self::Demand(device) => write!(f, "{ROOT}{device}/down/demand"),
            Self::Notice(device) => write!(f, "{ROOT}{device}/down/notice"),
            Self::Presence(device) => write!(f, "{ROOT}{device}/presence"),
        }
    }
}

impl fmt::Display for TopicFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(topic) => topic.fmt(f),
            Self::AllDown(device) => write!(f, "{ROOT}{device}/down/#"),
        }
    }
}

impl FromStr for Topic {
    type Err = ParseTopicError;

    fn from_str(text: &str) -> Result<Self, ParseTopicError> {
        let (device, rest) = split(text)?;
        match rest {
            "presence" => Ok(Self::Presence(device)),
            "down/demand" => Ok(Self::Demand(device)),
            "down/notice" => Ok(Self::Notice(device)),
            _ => {
                let stream = rest.strip_prefix("up/").ok_or(ParseTopicError)?;
                Ok(Self::Up(
                    device,
                    stream.parse().map_err(|_| ParseTopicError)?,
                ))
            }
        }
    }
}

impl FromStr for TopicFilter {
    type Err = ParseTopicError;

    fn from_str(text: &str) -> Result<Self, ParseTopicError> {
        let (device, rest) = split(text)?;
        match rest {
            "down/#" | "down/+" => Ok(Self::AllDown(device)),
            _ => text.parse().map(Self::One),
        }
    }
}

/// Splits off the device. Its text must be the one that `DeviceId` prints: MQTT compares topics byte by byte.
fn split(text: &str) -> Result<(DeviceId, &str), ParseTopicError> {
    let (device, rest) = text
        .strip_prefix(ROOT)
        .and_then(|rest| rest.split_once('/'))
        .ok_or(ParseTopicError)?;
    if device.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(ParseTopicError);
    }
    Ok((device.parse().map_err(|_| ParseTopicError)?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: &str = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266";
    const OTHER: &str = "0x70997970c51812dc3a010c7d01b50e0d17dc79c8";

    #[test]
    fn a_device_publishes_only_its_own_events_and_presence() {
        let me: DeviceId = ME.parse().unwrap();
        for (topic, allowed) in [
            (format!("ashya/v1/{ME}/up/detections"), true),
            (format!("ashya/v1/{ME}/presence"), true),
            (format!("ashya/v1/{OTHER}/up/detections"), false),
            (format!("ashya/v1/{OTHER}/presence"), false),
            (format!("ashya/v1/{ME}/down/demand"), false),
            (format!("ashya/v1/{ME}/down/notice"), false),
            (format!("ashya/v1/{ME}/up/"), false),
            (format!("ashya/v1/{ME}/up/a/b"), false),
            (format!("ashya/v2/{ME}/up/detections"), false),
            (
                format!("ashya/v1/{}/up/detections", ME.replace('f', "F")),
                false,
            ),
            ("$SYS/broker".into(), false),
            (String::new(), false),
        ] {
            let answer = topic
                .parse::<Topic>()
                .is_ok_and(|topic| topic.may_publish(me));
            assert_eq!(answer, allowed, "{topic}");
        }
    }

    #[test]
    fn a_device_reads_only_its_own_commands() {
        let me: DeviceId = ME.parse().unwrap();
        for (filter, allowed) in [
            (format!("ashya/v1/{ME}/down/#"), true),
            (format!("ashya/v1/{ME}/down/+"), true),
            (format!("ashya/v1/{ME}/down/demand"), true),
            (format!("ashya/v1/{ME}/up/detections"), false),
            (format!("ashya/v1/{ME}/#"), false),
            (format!("ashya/v1/{OTHER}/down/#"), false),
            ("ashya/v1/+/down/#".into(), false),
            ("#".into(), false),
            ("+/+/+/up/+".into(), false),
            (format!("$share/group/ashya/v1/{ME}/down/#"), false),
        ] {
            let answer = filter
                .parse::<TopicFilter>()
                .is_ok_and(|filter| filter.may_subscribe(me));
            assert_eq!(answer, allowed, "{filter}");
        }
    }

    #[test]
    fn topics_print_as_they_parse() {
        for text in [
            format!("ashya/v1/{ME}/up/frames"),
            format!("ashya/v1/{ME}/presence"),
            format!("ashya/v1/{ME}/down/demand"),
        ] {
            assert_eq!(text.parse::<Topic>().unwrap().to_string(), text);
        }
    }
}
