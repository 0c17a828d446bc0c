//! A gateway's REST interface, as far as a device needs it.

mod answer;

use std::time::Duration;

use ashya_protocol::rest::{
    Chain, CredentialRequest, Credentials, Nonce, Problem, Session, SessionRequest,
    SignedRegistration,
};
use ashya_protocol::{DeviceId, DeviceKey, Domain, FeedId};
use reqwest::header::DATE;
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, RequestBuilder, Response, StatusCode};
use serde::de::DeserializeOwned;
use thiserror::Error;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;
use url::Url;

use crate::trust::Trust;

pub(crate) use answer::shown;
use answer::{BodyError, body, redirected, words};

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Code of a gateway that knows a later registration, or one that was removed.
const REVISION_OLD: &str = "revision-old";
/// Code of a gateway that has no such device.
const DEVICE_UNKNOWN: &str = "device-unknown";

/// One gateway.
#[derive(Debug, Clone)]
pub struct Gateway {
    base: Url,
    /// The same without the name and the password in it.
    shown: String,
    http: Client,
}

/// Why a gateway did not do what it was asked.
#[derive(Debug, Error)]
pub enum GatewayError {
    /// It cannot be reached.
    #[error("{what} at {gateway} failed")]
    Http {
        /// What was asked.
        what: &'static str,
        /// The gateway.
        gateway: String,
        /// The reason.
        source: reqwest::Error,
    },
    /// Its answer makes no sense.
    #[error("{what} at {gateway} failed: the answer makes no sense: {reason}")]
    Nonsense {
        /// What was asked.
        what: &'static str,
        /// The gateway.
        gateway: String,
        /// What is wrong with it.
        reason: String,
    },
    /// It leads elsewhere. Neither signatures nor passwords go where nobody has named.
    #[error("{what} at {gateway} failed: the answer leads elsewhere; {advice}")]
    Redirected {
        /// What was asked.
        what: &'static str,
        /// The gateway.
        gateway: String,
        /// What to do.
        advice: String,
    },
    /// It refused.
    #[error("{what} refused by {gateway}: {status} {code}: {detail}")]
    Refused {
        /// What was asked.
        what: &'static str,
        /// The gateway.
        gateway: String,
        /// HTTP status.
        status: StatusCode,
        /// Its code for machines, such as `nonce-used`; empty where it gave none.
        code: String,
        /// Its reason.
        detail: String,
    },
    /// The owner has taken the device off.
    #[error(
        "the owner has removed this device from {0}, so it stays away. To bring it back, change its title or \
         description, or delete registration.json in its data folder, and start it again"
    )]
    Removed(String),
    /// Another registration of this device outranks ours.
    #[error(
        "{0} knows a later registration of this device, from another copy of its key. Stop the other copy, or change \
         the title or description here, or delete registration.json in the data folder, and start again"
    )]
    Outranked(String),
    /// The address is no base for others.
    #[error("{0} is no http or https address of a gateway")]
    Address(String),
}

impl Gateway {
    /// A gateway by its address, such as `http://127.0.0.1:8080`.
    ///
    /// # Errors
    /// When the address is not http or https, or no client can be made.
    pub fn new(base: &Url) -> Result<Self, GatewayError> {
        Self::with_trust(base, &Trust::default())
    }

    /// A gateway whose certificate is believed as `trust` says.
    ///
    /// # Errors
    /// When the address is not http or https, or no client can be made.
    pub fn with_trust(base: &Url, trust: &Trust) -> Result<Self, GatewayError> {
        if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none() {
            return Err(GatewayError::Address(shown(base).into()));
        }
        let failed = |source: reqwest::Error| GatewayError::Http {
            what: "setting up",
            gateway: shown(base).into(),
            source: source.without_url(),
        };
        let mut http = Client::builder().timeout(TIMEOUT).redirect(Policy::none());
        if let Some(own) = trust.own() {
            let own = own.iter().map(|der| Certificate::from_der(der));
            http = http.tls_certs_only(own.collect::<Result<Vec<_>, _>>().map_err(failed)?);
        }
        let http = http.build().map_err(failed)?;
        Ok(Self {
            base: base.clone(),
            shown: shown(base).into(),
            http,
        })
    }

    /// Whether it is reached by https.
    pub fn is_secure(&self) -> bool {
        self.base.scheme() == "https"
    }

    /// Host name or address of the gateway.
    pub fn host(&self) -> &str {
        self.base.host_str().unwrap_or_default()
    }

    /// Where the gateway is, with what it takes to enter.
    pub(crate) fn base(&self) -> &Url {
        &self.base
    }

    /// The gateway's clock in Unix seconds, by the header `Date` (RFC 9110, 6.6.1); `None` when it sends none.
    ///
    /// # Errors
    /// When it cannot be reached or refuses.
    pub(crate) async fn clock(&self) -> Result<Option<u64>, GatewayError> {
        let request = self.http.get(self.address("v1/health/live")?);
        let response = self.send("asking for the time", request).await?;
        let date = response.headers().get(DATE);
        let date = date.and_then(|date| date.to_str().ok());
        let time = date.and_then(|date| OffsetDateTime::parse(date, &Rfc2822).ok());
        Ok(time.and_then(|time| u64::try_from(time.unix_timestamp()).ok()))
    }

    /// A nonce to sign in with.
    ///
    /// # Errors
    /// When it cannot be reached or refuses.
    pub(crate) async fn nonce(&self) -> Result<String, GatewayError> {
        let asked = self.http.post(self.address("v1/auth/nonce")?);
        let Nonce { nonce } = self.ask("asking for a nonce", asked).await?;
        Ok(nonce)
    }

    /// Opens a session of a wallet.
    ///
    /// # Errors
    /// When it cannot be reached or refuses.
    pub(crate) async fn session(&self, request: &SessionRequest) -> Result<Session, GatewayError> {
        let asked = self.http.post(self.address("v1/auth/session")?);
        self.ask("signing in", asked.json(request)).await
    }

    /// The listing of a feed, as it was hashed.
    ///
    /// # Errors
    /// When it cannot be reached, or does not have it.
    pub(crate) async fn listing(&self, feed: FeedId) -> Result<String, GatewayError> {
        let what = "asking for the listing";
        let path = self.address(&format!("v1/feeds/{feed}/listing"))?;
        let response = self.send(what, self.http.get(path)).await?;
        String::from_utf8(self.read(what, response).await?)
            .map_err(|error| self.nonsense(what, &error))
    }

    /// The chain and ledger that the gateway follows.
    ///
    /// # Errors
    /// When it cannot be reached or refuses.
    pub async fn domain(&self) -> Result<Domain, GatewayError> {
        let what = "asking for the chain";
        let chain: Chain = self
            .ask(what, self.http.get(self.address("v1/chain")?))
            .await?;
        Ok(Domain {
            chain_id: chain.chain_id,
            ledger: chain.ledger,
        })
    }

    /// Registers the device; the same document again is fine.
    ///
    /// # Errors
    /// When it cannot be reached or refuses; [`GatewayError::is_final`] tells whether asking again is pointless.
    pub async fn register(&self, document: &SignedRegistration) -> Result<(), GatewayError> {
        let request = self.http.post(self.address("v1/devices")?).json(document);
        match self.send("registration", request).await {
            Err(GatewayError::Refused { code, .. }) if code == REVISION_OLD => {
                // The gateway keeps the number of what was removed, and shows no such device.
                let gateway = self.shown.clone();
                Err(if self.shows(document.registration.device).await? {
                    GatewayError::Outranked(gateway)
                } else {
                    GatewayError::Removed(gateway)
                })
            }
            answer => answer.map(drop),
        }
    }

    /// Whether the gateway has this device in its list.
    pub(crate) async fn shows(&self, device: DeviceId) -> Result<bool, GatewayError> {
        let address = self.address(&format!("v1/devices/{device}"))?;
        match self
            .send("asking for the device", self.http.get(address))
            .await
        {
            Ok(_) => Ok(true),
            Err(GatewayError::Refused { code, .. }) if code == DEVICE_UNKNOWN => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Gets MQTT credentials for a device, against a fresh nonce of this gateway.
    ///
    /// # Errors
    /// When it cannot be reached or refuses.
    pub async fn credentials(
        &self,
        key: &DeviceKey,
        domain: &Domain,
    ) -> Result<Credentials, GatewayError> {
        let device: DeviceId = key.device_id();
        let nonce = self.nonce().await?;
        let signature = key.sign(&domain.credential_request(device, &nonce));
        let path = format!("v1/devices/{device}/credentials");
        let body = CredentialRequest { nonce, signature };
        let request = self.http.post(self.address(&path)?).json(&body);
        self.ask("asking for credentials", request).await
    }

    fn address(&self, path: &str) -> Result<Url, GatewayError> {
        self.base
            .join(path)
            .map_err(|_| GatewayError::Address(self.shown.clone()))
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        what: &'static str,
        request: RequestBuilder,
    ) -> Result<T, GatewayError> {
        let response = self.send(what, request).await?;
        serde_json::from_slice(&self.read(what, response).await?)
            .map_err(|error| self.nonsense(what, &error))
    }

    async fn read(&self, what: &'static str, response: Response) -> Result<Vec<u8>, GatewayError> {
        body(response).await.map_err(|error| match error {
            BodyError::Http(source) => self.failed(what, source),
            BodyError::TooLong => self.nonsense(what, &error),
        })
    }

    async fn send(
        &self,
        what: &'static str,
        request: RequestBuilder,
    ) -> Result<Response, GatewayError> {
        let response = request
            .send()
            .await
            .map_err(|source| self.failed(what, source))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        if status.is_redirection() {
            return Err(GatewayError::Redirected {
                what,
                gateway: self.shown.clone(),
                advice: redirected(&self.base, &response),
            });
        }
        // Its status alone says enough where it gives no reason.
        let problem = body(response).await.unwrap_or_default();
        let problem = serde_json::from_slice::<Problem>(&problem);
        let (code, detail) = problem.map_or_else(
            |_| Default::default(),
            |problem| (words(&problem.code), words(&problem.detail)),
        );
        Err(GatewayError::Refused {
            what,
            gateway: self.shown.clone(),
            status,
            code,
            detail,
        })
    }

    fn failed(&self, what: &'static str, source: reqwest::Error) -> GatewayError {
        GatewayError::Http {
            what,
            gateway: self.shown.clone(),
            source: source.without_url(),
        }
    }

    fn nonsense(&self, what: &'static str, error: &dyn std::error::Error) -> GatewayError {
        GatewayError::Nonsense {
            what,
            gateway: self.shown.clone(),
            reason: error.to_string(),
        }
    }
}

impl GatewayError {
    /// Whether only people can change the answer, so that asking again soon is pointless.
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Removed(_) | Self::Outranked(_))
    }
}

#[cfg(test)]
mod tests;
