use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use http::HeaderValue;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use url::Url;

use super::ConfigError;
use super::checks::{check_origins, choose, local, positive, refuse, seconds};
use crate::auth::client::Proxies;
use crate::defaults::{
    CONNECTIONS_PER_ADDRESS, HTTP_HEAD_TIMEOUT, HTTP_PORT, HTTP_WRITE_TIMEOUT,
    MAX_HTTP_CONNECTIONS, REQUEST_TIMEOUT,
};

/// REST, websocket and page.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Domains for which wallets may sign in; none means the listener's own address and `localhost`.
    pub domains: Vec<String>,
    /// Origins of other sites' pages that may use the REST interface.
    pub cors_origins: Vec<HeaderValue>,
    /// Longest time to the head of an answer.
    pub request_timeout: Duration,
    /// Time for a request's head to come, and longest silence between two requests.
    pub head_timeout: Duration,
    /// Time in which a client takes nothing of an ordinary answer.
    pub write_timeout: Duration,
    /// Most connections, websockets included.
    pub max_connections: usize,
    /// Most of them from one address; 0 is no limit.
    pub connections_per_address: usize,
    /// Proxies in front of the gateway.
    pub proxies: Proxies,
}

/// The same, before it is checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct HttpSettings {
    pub(super) listen: SocketAddr,
    pub(super) domains: Vec<String>,
    pub(super) cors_origins: Vec<String>,
    pub(super) trusted_proxies: Vec<String>,
    forwarded_header: String,
    request_timeout_seconds: u64,
    head_timeout_seconds: u64,
    write_timeout_seconds: u64,
    max_connections: usize,
    /// 0 is no limit.
    connections_per_address: usize,
}

impl HttpSettings {
    pub(super) fn check(self) -> Result<HttpConfig, ConfigError> {
        Ok(HttpConfig {
            listen: self.listen,
            domains: check_domains(self.domains)?,
            cors_origins: check_origins("http.cors_origins", &self.cors_origins)?,
            request_timeout: seconds("http.request_timeout_seconds", self.request_timeout_seconds)?,
            head_timeout: seconds("http.head_timeout_seconds", self.head_timeout_seconds)?,
            write_timeout: seconds("http.write_timeout_seconds", self.write_timeout_seconds)?,
            max_connections: positive("http.max_connections", self.max_connections)?,
            connections_per_address: self.connections_per_address,
            proxies: Proxies {
                trusted: check_networks(&self.trusted_proxies)?,
                header: choose(
                    "http.forwarded_header",
                    &self.forwarded_header,
                    ["x-forwarded-for", "forwarded"],
                )?,
            },
        })
    }
}

fn check_domains(domains: Vec<String>) -> Result<Vec<String>, ConfigError> {
    for domain in &domains {
        let parsed = Url::parse(&format!("http://{domain}"));
        let plain = parsed.is_ok_and(|url| url.path() == "/" && url.username().is_empty());
        if !plain || domain.contains('/') {
            let reason = format!("{domain:?} is not HOST or HOST:PORT");
            return Err(refuse("http.domains", reason));
        }
    }
    Ok(domains)
}

/// Reads networks; an address alone is a network of one.
fn check_networks(networks: &[String]) -> Result<Vec<IpNet>, ConfigError> {
    let checked = networks.iter().map(|text| {
        let alone = || text.parse::<IpAddr>().ok().map(IpNet::from);
        text.parse().ok().or_else(alone).ok_or_else(|| {
            let reason = format!("{text:?} is not an address or a network such as 10.0.0.0/8");
            refuse("http.trusted_proxies", reason)
        })
    });
    checked.collect()
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            listen: local(HTTP_PORT),
            domains: Vec::new(),
            cors_origins: Vec::new(),
            trusted_proxies: Vec::new(),
            forwarded_header: "x-forwarded-for".into(),
            request_timeout_seconds: REQUEST_TIMEOUT.as_secs(),
            head_timeout_seconds: HTTP_HEAD_TIMEOUT.as_secs(),
            write_timeout_seconds: HTTP_WRITE_TIMEOUT.as_secs(),
            max_connections: MAX_HTTP_CONNECTIONS,
            connections_per_address: CONNECTIONS_PER_ADDRESS,
        }
    }
}
