//! How clients come in by TCP: a listener, how many it takes, and the TLS that it speaks.
//!
//! ```text
//!  kernel ─► Entrance::next (a place for the client) ─► Guest::greet (TLS, in the client's own task) ─► Visitor
//! ```

mod places;
mod stream;
mod tls;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;

pub(crate) use places::{Place, PlaceLimits, Places};
pub(crate) use stream::Stream;
pub(crate) use tls::{Lifetime, Speaks, Tls};
pub use tls::{TlsConfig, TlsError};

/// Pause after a failed accept: the process is out of file descriptors, and trying at once would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A listener and its rules.
#[derive(Debug)]
pub(crate) struct Entrance {
    listener: TcpListener,
    places: Places,
    tls: Option<(Tls, Speaks)>,
}

/// A client that has a place, and that nothing was said to yet.
pub(crate) struct Guest {
    stream: TcpStream,
    peer: SocketAddr,
    place: Place,
    tls: Option<TlsAcceptor>,
}

/// A client whose bytes can be read.
#[derive(Debug)]
pub(crate) struct Visitor {
    pub(crate) stream: Stream,
    pub(crate) peer: SocketAddr,
    /// Is the client's for as long as it is kept.
    pub(crate) place: Place,
}

impl Entrance {
    /// A listener without TLS.
    pub(crate) const fn plain(listener: TcpListener, places: Places) -> Self {
        Self {
            listener,
            places,
            tls: None,
        }
    }

    /// A listener that speaks nothing but TLS.
    pub(crate) const fn secure(
        listener: TcpListener,
        places: Places,
        tls: Tls,
        speaks: Speaks,
    ) -> Self {
        Self {
            listener,
            places,
            tls: Some((tls, speaks)),
        }
    }

    /// A listener with TLS where there is a certificate.
    pub(crate) fn perhaps_secure(
        listener: TcpListener,
        places: Places,
        tls: Option<&Tls>,
        speaks: Speaks,
    ) -> Self {
        match tls {
            Some(tls) => Self::secure(listener, places, tls.clone(), speaks),
            None => Self::plain(listener, places),
        }
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the system does not tell.
    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The next client for whom there is room. Safe to drop while it waits.
    pub(crate) async fn next(&self) -> Guest {
        loop {
            let vacancy = self.places.vacancy().await;
            let (stream, peer) = match self.listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let Some(place) = self.places.take(vacancy, peer.ip()) else {
                tracing::debug!(%peer, "too many connections from this address");
                continue;
            };
            // Without it small answers wait for the peer's delayed acknowledgements. Failing is harmless.
            let _ = stream.set_nodelay(true);
            return Guest {
                stream,
                peer,
                place,
                tls: self.tls.as_ref().map(|(tls, speaks)| tls.acceptor(*speaks)),
            };
        }
    }
}

impl Guest {
    /// Where the client comes from.
    pub(crate) const fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Shakes hands, where TLS is spoken.
    ///
    /// # Errors
    /// When the client does not speak TLS, or too slowly.
    pub(crate) async fn greet(self) -> io::Result<Visitor> {
        let stream = match self.tls {
            Some(acceptor) => Stream::shake_hands(&acceptor, self.stream).await?,
            None => Stream::plain(self.stream),
        };
        Ok(Visitor {
            stream,
            peer: self.peer,
            place: self.place,
        })
    }
}
