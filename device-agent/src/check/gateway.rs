use std::time::Duration;

use ashya_protocol::{DeviceKey, Domain};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Finding;
use crate::causes::causes;
use crate::config::{Config, GatewayConfig};
use crate::data::{DataDir, unix_seconds};
use crate::gateway::{Gateway, GatewayError, shown};
use crate::link::{Door, Tunnel, door};

/// Beyond this, sign-ins are refused.
const MOST_SKEW_SECONDS: i64 = 60;
/// Beyond this, a clock is not kept by anybody.
const ODD_SKEW_SECONDS: i64 = 5;
/// How long the broker may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Asks the gateway for its chain, compares clocks, and logs in as the device where it can.
pub(super) async fn check(
    config: &Config,
    key: Option<&DeviceKey>,
) -> Vec<(&'static str, Finding)> {
    let url = shown(&config.gateway.url);
    let unreachable = |error: &GatewayError| {
        Finding::failed(
            causes(error),
            format!("is a gateway running there? Try `curl {url}`; name another by --gateway"),
        )
    };
    let gateway = match Gateway::with_trust(&config.gateway.url, &config.gateway.trust) {
        Ok(gateway) => gateway,
        Err(error) => return vec![("gateway", unreachable(&error))],
    };
    let domain = match gateway.domain().await {
        Ok(domain) => domain,
        Err(error) => return vec![("gateway", unreachable(&error))],
    };
    let mut found = vec![("gateway", ledger(config, domain))];
    found.push(("clock", clock(gateway.clock().await)));
    if let Some(key) = key {
        let broker = broker(&gateway, &config.gateway, key, &domain).await;
        found.push(("broker", broker));
    }
    found
}

fn ledger(config: &Config, domain: Domain) -> Finding {
    let Domain { chain_id, ledger } = domain;
    let words = format!(
        "{} follows ledger {ledger} on chain {chain_id}",
        shown(&config.gateway.url)
    );
    let data = DataDir::find(&config.data);
    match data.map_or(Ok(None), |data| data.pinned_ledger()) {
        Ok(Some(pinned)) if pinned != domain => Finding::failed(
            format!(
                "{words}, but this device was set up for {} on chain {}",
                pinned.ledger, pinned.chain_id
            ),
            "name the gateway of that ledger by --gateway; if the move is intended, remove ledger.json from the data \
             folder",
        ),
        Ok(_) => Finding::Ok(words),
        Err(error) => Finding::failed(
            causes(&error),
            "remove the damaged file from the data folder",
        ),
    }
}

fn clock(theirs: Result<Option<u64>, GatewayError>) -> Finding {
    let todo =
        "set the clock: `timedatectl set-ntp true`, or ask the gateway's operator to set theirs";
    match theirs {
        Ok(Some(theirs)) => skew(unix_seconds(), theirs, todo),
        Ok(None) => Finding::Warning("the gateway does not tell its time".into(), todo.into()),
        Err(error) => Finding::failed(causes(&error), "try again"),
    }
}

fn skew(ours: u64, theirs: u64, todo: &str) -> Finding {
    let ahead = i64::try_from(ours).unwrap_or(i64::MAX) - i64::try_from(theirs).unwrap_or(i64::MAX);
    let words = match ahead {
        0 => "the same as the gateway's, to the second".to_owned(),
        1.. => format!("{ahead} s ahead of the gateway's"),
        _ => format!("{} s behind the gateway's", -ahead),
    };
    if ahead.abs() > MOST_SKEW_SECONDS {
        Finding::failed(words, todo)
    } else if ahead.abs() > ODD_SKEW_SECONDS {
        Finding::Warning(words, todo.to_owned())
    } else {
        Finding::Ok(words)
    }
}

async fn broker(
    gateway: &Gateway,
    config: &GatewayConfig,
    key: &DeviceKey,
    domain: &Domain,
) -> Finding {
    match gateway.shows(key.device_id()).await {
        Ok(true) => {}
        Ok(false) => {
            return Finding::Ok(
                "this device is not registered yet; the first start does it".into(),
            );
        }
        Err(error) => return Finding::failed(causes(&error), "try again"),
    }
    let credentials = match gateway.credentials(key, domain).await {
        Ok(credentials) => credentials,
        Err(error) => {
            return Finding::failed(
                causes(&error),
                "is the device blocked there, or its owner another? Ask the gateway's operator",
            );
        }
    };
    let host = credentials.mqtt_host.as_deref();
    let host = host.unwrap_or_else(|| gateway.host());
    match door(&credentials, gateway.is_secure(), config.clear_mqtt) {
        None => Finding::failed(
            format!(
                "the broker at {host} does not speak TLS, and the device's password would go in the clear"
            ),
            "ask the gateway's operator for mqtt.tls_listen, or, where the network between can be trusted, set \
             clear_mqtt = true in [gateway]",
        ),
        Some(Door::Secure(port)) => match Tunnel::open(host, port, &config.trust).await {
            Ok(_) => Finding::Ok(format!(
                "{host}:{port} answers by TLS, and the gateway gave credentials"
            )),
            Err(error) => Finding::failed(
                format!("{host}:{port}: {}", causes(&error)),
                "open that port in the firewalls between; name whose certificates to trust by ca_file in [gateway]",
            ),
        },
        Some(Door::Clear(port)) => clear(host, port).await,
    }
}

async fn clear(host: &str, port: u16) -> Finding {
    let name = host.trim_matches(['[', ']']);
    let words = format!("{host}:{port}");
    let todo = "open that port in the firewalls between";
    match timeout(CONNECT_TIMEOUT, TcpStream::connect((name, port))).await {
        Ok(Ok(_)) => Finding::Ok(format!("{words} answers, and the gateway gave credentials")),
        Ok(Err(error)) => Finding::failed(format!("{words}: {error}"), todo),
        Err(_) => Finding::failed(format!("{words} does not answer"), todo),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks() {
        for (ours, theirs, kind) in [
            (1_000, 1_000, "ok: the same"),
            (1_005, 1_000, "ok: 5 s ahead"),
            (1_000, 1_006, "WARNING: 6 s behind"),
            (1_000, 1_061, "FAILED: 61 s behind"),
            (5, u64::MAX, "FAILED"),
        ] {
            let found = skew(ours, theirs, "set it").to_string();
            assert!(found.starts_with(kind), "{found}");
        }
    }
}
