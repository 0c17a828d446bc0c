use std::fmt;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use thiserror::Error;
use url::Url;

/// Ports of MQTT without and with TLS, as IANA assigns them.
const PORT: u16 = 1883;
const TLS_PORT: u16 = 8883;

/// A broker to bridge: `mqtt://` or `mqtts://`, a host, and perhaps user, password and port. Shown without the password.
#[derive(Clone, PartialEq, Eq)]
pub struct BridgeAddress {
    has_tls: bool,
    host: String,
    port: u16,
    credentials: Option<(String, String)>,
}

/// Not the address of a broker. Does not repeat the text: there may be a password in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "must be mqtt://HOST or mqtts://HOST, with USER:PASSWORD@ before and :PORT after HOST where needed"
)]
pub struct ParseBridgeAddressError;

impl BridgeAddress {
    /// Whether the connection is encrypted and the broker proves its name.
    pub fn has_tls(&self) -> bool {
        self.has_tls
    }

    /// Name or address; an IPv6 address stands in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// User and password.
    pub(super) fn credentials(&self) -> Option<(&str, &str)> {
        let (user, password) = self.credentials.as_ref()?;
        Some((user, password))
    }
}

impl FromStr for BridgeAddress {
    type Err = ParseBridgeAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = Url::parse(text).map_err(|_| ParseBridgeAddressError)?;
        let has_tls = match url.scheme() {
            "mqtt" => false,
            "mqtts" => true,
            _ => return Err(ParseBridgeAddressError),
        };
        let host = url.host_str().filter(|host| !host.is_empty());
        let is_bare = matches!(url.path(), "" | "/")
            && url.query().is_none()
            && url.fragment().is_none()
            && url.port() != Some(0);
        let credentials = match (url.username(), url.password()) {
            ("", None) => None,
            ("", Some(_)) => return Err(ParseBridgeAddressError),
            (user, password) => Some((decode(user)?, decode(password.unwrap_or_default())?)),
        };
        Ok(Self {
            has_tls,
            host: host
                .filter(|_| is_bare)
                .ok_or(ParseBridgeAddressError)?
                .to_owned(),
            port: url.port().unwrap_or(if has_tls { TLS_PORT } else { PORT }),
            credentials,
        })
    }
}

impl fmt::Display for BridgeAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.has_tls { "mqtts" } else { "mqtt" };
        write!(f, "{scheme}://{}:{}", self.host, self.port)
    }
}

impl fmt::Debug for BridgeAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BridgeAddress({self})")
    }
}

fn decode(text: &str) -> Result<String, ParseBridgeAddressError> {
    let decoded = percent_decode_str(text).decode_utf8();
    Ok(decoded.map_err(|_| ParseBridgeAddressError)?.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_and_its_password_never_shown() {
        for (text, shown, credentials) in [
            ("mqtt://broker.example", "mqtt://broker.example:1883", None),
            (
                "mqtts://broker.example/",
                "mqtts://broker.example:8883",
                None,
            ),
            ("mqtt://[::1]:1884", "mqtt://[::1]:1884", None),
            (
                "mqtts://me:p%40ss%2Fword@10.0.0.1:1",
                "mqtts://10.0.0.1:1",
                Some(("me", "p@ss/word")),
            ),
            (
                "mqtt://me@broker.example",
                "mqtt://broker.example:1883",
                Some(("me", "")),
            ),
        ] {
            let address: BridgeAddress = text.parse().unwrap();
            assert_eq!(address.to_string(), shown);
            assert_eq!(address.credentials(), credentials, "{text}");
            assert!(!format!("{address:?}").contains("p@ss"));
        }
    }

    #[test]
    fn anything_else_is_refused_without_repeating_it() {
        for text in [
            "",
            "broker.example",
            "http://broker.example",
            "mqtt://",
            "mqtt:broker.example",
            "mqtt://broker.example:0",
            "mqtt://broker.example:70000",
            "mqtt://:secret@broker.example",
            "mqtt://me:secret%FF@broker.example",
            "mqtt://broker.example/topic",
            "mqtt://broker.example?client_id=me",
            "mqtt://broker.example#top",
        ] {
            let error = text.parse::<BridgeAddress>().unwrap_err().to_string();
            assert!(!error.contains("secret") && !error.contains('\n'), "{text}");
        }
    }
}
