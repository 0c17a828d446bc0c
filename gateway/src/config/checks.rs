//! What sections of the configuration share.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use http::HeaderValue;
use url::Url;

use super::ConfigError;

pub(super) fn read_file(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|source| ConfigError::File {
        path: path.to_owned(),
        source,
    })
}

pub(super) fn refuse(name: &'static str, reason: impl Into<String>) -> ConfigError {
    ConfigError::Value {
        name,
        reason: reason.into(),
    }
}

pub(super) fn positive<T: Default + PartialEq>(
    name: &'static str,
    value: T,
) -> Result<T, ConfigError> {
    if value == T::default() {
        return Err(refuse(name, "must be at least 1"));
    }
    Ok(value)
}

pub(super) fn seconds(name: &'static str, value: u64) -> Result<Duration, ConfigError> {
    positive(name, value).map(Duration::from_secs)
}

pub(super) fn milliseconds(name: &'static str, value: u64) -> Result<Duration, ConfigError> {
    positive(name, value).map(Duration::from_millis)
}

/// Reads one of two words as the enum that serde knows them for.
pub(super) fn choose<T: serde::de::DeserializeOwned>(
    name: &'static str,
    word: &str,
    words: [&str; 2],
) -> Result<T, ConfigError> {
    let value = serde_json::Value::String(word.to_owned());
    serde_json::from_value(value)
        .map_err(|_| refuse(name, format!("must be {} or {}", words[0], words[1])))
}

pub(super) fn check_origins(
    name: &'static str,
    origins: &[String],
) -> Result<Vec<HeaderValue>, ConfigError> {
    let checked = origins.iter().map(|origin| {
        let url = Url::parse(origin).ok();
        let exact = url.is_some_and(|url| url.origin().ascii_serialization() == *origin);
        let header = HeaderValue::from_str(origin).ok().filter(|_| exact);
        header.ok_or_else(|| {
            let reason = format!("{origin:?} is not an origin such as https://shop.example");
            refuse(name, reason)
        })
    });
    checked.collect()
}

pub(super) fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}
