use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::systemd;
use crate::chained::Chained;
use crate::entrance::{Lifetime, Tls};
use crate::metrics::Metrics;

/// What follows SIGHUP: the certificate is read again. Without a certificate the signal is heard and nothing follows,
/// where it would otherwise end the process.
#[derive(Debug)]
pub(super) struct Reload {
    tls: Option<Tls>,
    metrics: Metrics,
    hangups: Signal,
}

impl Reload {
    /// Listens for the signal from now on.
    pub(super) fn new(tls: Option<Tls>, metrics: Metrics) -> io::Result<Self> {
        let hangups = signal(SignalKind::hangup())?;
        let reload = Self {
            tls,
            metrics,
            hangups,
        };
        if let Some(tls) = &reload.tls {
            reload.tell(tls);
        }
        Ok(reload)
    }

    /// Obeys each signal until `shutdown`.
    pub(super) async fn run(mut self, shutdown: CancellationToken) {
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = self.hangups.recv() => {
                    systemd::reloading();
                    self.reload().await;
                    if !shutdown.is_cancelled() {
                        systemd::ready();
                    }
                }
            }
        }
    }

    async fn reload(&self) {
        let Some(tls) = self.tls.clone() else {
            tracing::info!("there is no certificate to read again");
            return;
        };
        let read = tokio::task::spawn_blocking(move || tls.reload().map(|()| tls));
        match read.await {
            Ok(Ok(tls)) => self.tell(&tls),
            Ok(Err(error)) => {
                tracing::error!(error = %Chained(&error), "the old certificate is shown on");
            }
            Err(error) => tracing::error!(%error, "the old certificate is shown on"),
        }
    }

    fn tell(&self, tls: &Tls) {
        self.metrics.certificate_expires_at(tls.expires_at());
        match tls.lifetime() {
            lifetime @ Lifetime::Good(_) => tracing::info!("TLS: {lifetime}"),
            lifetime => tracing::warn!("TLS: {lifetime}"),
        }
    }
}
