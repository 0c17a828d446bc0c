use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use axum::Router;
use ipnet::{IpNet, Ipv4Net};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::http::{self, Ends, HttpLimits};
use super::reload::Reload;
use crate::config::Config;
use crate::defaults::MAX_METRICS_CONNECTIONS;
use crate::entrance::{Entrance, PlaceLimits, Places, Speaks, Tls};
use crate::metrics::Metrics;
use crate::mqtt::{self, MqttParts, MqttRates};

/// How clients come in, and what they may take there.
#[derive(Debug)]
pub(super) struct Doors {
    tls: Option<Tls>,
    http: Places,
    mqtt: Places,
    limits: HttpLimits,
    rates: MqttRates,
    metrics: Metrics,
}

impl Doors {
    pub(super) fn new(config: &Config, tls: Option<Tls>, metrics: &Metrics) -> Self {
        // Behind these are many clients, or the operator: for them the limits in all must do.
        let mut shared = config.http.proxies.trusted.clone();
        shared.extend([
            Ipv4Net::new_assert(Ipv4Addr::LOCALHOST, 8).into(),
            IpNet::from(IpAddr::from(Ipv6Addr::LOCALHOST)),
        ]);
        let places = |in_all, per_address| {
            let limits = PlaceLimits {
                in_all,
                per_address,
                shared: shared.clone(),
            };
            Places::new(limits, metrics.connections_refused.clone())
        };
        let (http, mqtt) = (&config.http, &config.mqtt);
        Self {
            tls,
            http: places(http.max_connections, http.connections_per_address),
            mqtt: places(mqtt.max_connections, mqtt.connections_per_address),
            limits: HttpLimits {
                head_timeout: http.head_timeout,
                write_timeout: http.write_timeout,
            },
            rates: mqtt.rates,
            metrics: metrics.clone(),
        }
    }

    /// What follows SIGHUP.
    pub(super) fn reload(&self) -> io::Result<Reload> {
        Reload::new(self.tls.clone(), self.metrics.clone())
    }

    /// Serves REST, websockets and page: nobody new after `stop`, nobody at all after `close`.
    pub(super) fn public(
        &self,
        listener: TcpListener,
        routes: Router,
        stop: CancellationToken,
        close: CancellationToken,
    ) -> impl Future<Output = ()> + use<> {
        let places = self.http.clone();
        let entrance = Entrance::perhaps_secure(listener, places, self.tls.as_ref(), Speaks::Http);
        let ends = Ends {
            accepting: stop,
            serving: close,
        };
        http::serve(entrance, routes, self.limits, ends)
    }

    /// Serves metrics, in the clear: they are for the operator's own network.
    pub(super) fn internal(
        &self,
        listener: TcpListener,
        routes: Router,
        close: CancellationToken,
    ) -> impl Future<Output = ()> + use<> {
        let limits = PlaceLimits {
            in_all: MAX_METRICS_CONNECTIONS,
            ..PlaceLimits::default()
        };
        let places = Places::new(limits, self.metrics.connections_refused.clone());
        let entrance = Entrance::plain(listener, places);
        http::serve(entrance, routes, self.limits, close.into())
    }

    /// Serves devices until `stop`. Without a listener for TLS alone the only one speaks TLS where there is a certificate.
    pub(super) fn broker(
        &self,
        listener: TcpListener,
        secure: Option<TcpListener>,
        parts: MqttParts,
        stop: CancellationToken,
    ) -> impl Future<Output = ()> + use<> {
        let enter = |listener, tls| {
            Entrance::perhaps_secure(listener, self.mqtt.clone(), tls, Speaks::Mqtt)
        };
        let tls = self.tls.as_ref();
        let entrances = match secure {
            Some(secure) => vec![enter(listener, None), enter(secure, tls)],
            None => vec![enter(listener, tls)],
        };
        let rates = self.rates;
        async move {
            if let Err(error) = mqtt::serve_at(entrances, rates, parts, stop).await {
                tracing::error!(%error, "the MQTT listener failed");
            }
        }
    }
}
