//! A gateway's REST interface, as far as a device needs it.

use std::time::Duration;

use ashya_protocol::rest::{
    Chain, CredentialRequest, Credentials, Nonce, Problem, SignedRegistration,
};
use ashya_protocol::{DeviceId, DeviceKey, Domain};
use reqwest::{Client, RequestBuilder, StatusCode};
use serde::de::DeserializeOwned;
use thiserror::Error;
use url::Url;

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// One gateway.
#[derive(Debug, Clone)]
pub struct Gateway {
    base: Url,
    http: Client,
}

/// Why a gateway did not do what it was asked.
#[derive(Debug, Error)]
pub enum GatewayError {
    /// It cannot be reached, or its answer makes no sense.
    #[error("{what} at {gateway} failed")]
    Http {
        /// What was asked.
        what: &'static str,
        /// The gateway.
        gateway: String,
        /// The reason.
        source: reqwest::Error,
    },
    /// It refused.
    #[error("{what} refused by {gateway}: {status} {detail}")]
    Refused {
        /// What was asked.
        what: &'static str,
        /// The gateway.
        gateway: String,
        /// HTTP status.
        status: StatusCode,
        /// Its reason.
        detail: String,
    },
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
        if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none() {
            return Err(GatewayError::Address(base.to_string()));
        }
        let http = Client::builder()
            .timeout(TIMEOUT)
            .build()
            .map_err(|source| GatewayError::Http {
                what: "setting up",
                gateway: base.to_string(),
                source,
            })?;
        Ok(Self {
            base: base.clone(),
            http,
        })
    }

    /// Host name or address of the gateway.
    pub fn host(&self) -> &str {
        self.base.host_str().unwrap_or_default()
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
    /// When it cannot be reached or refuses.
    pub async fn register(&self, document: &SignedRegistration) -> Result<(), GatewayError> {
        let request = self.http.post(self.address("v1/devices")?).json(document);
        self.send("registration", request).await.map(drop)
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
        let asked = self.http.post(self.address("v1/auth/nonce")?);
        let Nonce { nonce } = self.ask("asking for a nonce", asked).await?;
        let signature = key.sign(&domain.credential_request(device, &nonce));
        let path = format!("v1/devices/{device}/credentials");
        let body = CredentialRequest { nonce, signature };
        let request = self.http.post(self.address(&path)?).json(&body);
        self.ask("asking for credentials", request).await
    }

    fn address(&self, path: &str) -> Result<Url, GatewayError> {
        self.base
            .join(path)
            .map_err(|_| GatewayError::Address(self.base.to_string()))
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        what: &'static str,
        request: RequestBuilder,
    ) -> Result<T, GatewayError> {
        let response = self.send(what, request).await?;
        response
            .json()
            .await
            .map_err(|source| self.failed(what, source))
    }

    async fn send(
        &self,
        what: &'static str,
        request: RequestBuilder,
    ) -> Result<reqwest::Response, GatewayError> {
        let response = request
            .send()
            .await
            .map_err(|source| self.failed(what, source))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let detail = response.json::<Problem>().await.map_or_else(
            |_| String::new(),
            |problem| format!("{} ({})", problem.detail, problem.code),
        );
        Err(GatewayError::Refused {
            what,
            gateway: self.base.to_string(),
            status,
            detail,
        })
    }

    fn failed(&self, what: &'static str, source: reqwest::Error) -> GatewayError {
        GatewayError::Http {
            what,
            gateway: self.base.to_string(),
            source: source.without_url(),
        }
    }
}
