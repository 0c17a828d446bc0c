use anyhow::{Context, Result, ensure};
use ashya_protocol::rest::{
    Chain, CredentialRequest, Credentials, DeviceList, Feed, FeedList, Nonce, Problem, Session,
    SessionRequest, SignedListing, SignedRegistration, SubscriptionList,
};
use ashya_protocol::{DeviceId, DeviceKey, Domain, FeedId};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use time::OffsetDateTime;
use url::Url;

use crate::account::{Account, SignIn};

/// The REST interface of one gateway, as any client sees it.
#[derive(Debug, Clone)]
pub struct Api {
    base: Url,
    http: reqwest::Client,
}

/// What a gateway answered.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: StatusCode,
    /// Media type of the body.
    pub content_type: String,
    /// Body.
    pub body: String,
}

impl Answer {
    /// The body of a success.
    ///
    /// # Errors
    /// When it is a failure, or something else.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        ensure!(
            self.status.is_success(),
            "the gateway answered {}: {}",
            self.status,
            self.body
        );
        serde_json::from_str(&self.body).with_context(|| format!("unexpected body {}", self.body))
    }

    /// The problem document of a failure (RFC 9457).
    ///
    /// # Errors
    /// When the answer is no such document.
    pub fn problem(&self) -> Result<Problem> {
        ensure!(
            self.content_type.starts_with("application/problem+json"),
            "{} with content type {:?}: {}",
            self.status,
            self.content_type,
            self.body
        );
        let problem: Problem = serde_json::from_str(&self.body)
            .with_context(|| format!("not a problem document: {}", self.body))?;
        ensure!(problem.status == self.status.as_u16(), "two statuses");
        Ok(problem)
    }
}

impl Api {
    /// The interface at `base`, such as `http://127.0.0.1:8080`.
    pub fn new(base: Url) -> Self {
        Self {
            base,
            http: reqwest::Client::new(),
        }
    }

    /// Where the gateway is.
    pub fn base(&self) -> &Url {
        &self.base
    }

    /// A request to a path such as `/v1/chain`.
    ///
    /// # Errors
    /// When the path is none.
    pub fn request(&self, method: Method, path: &str) -> Result<RequestBuilder> {
        Ok(self.http.request(method, self.base.join(path)?))
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// When the gateway cannot be reached.
    pub async fn send(&self, request: RequestBuilder) -> Result<Answer> {
        let response = request.send().await?;
        let content_type = response
            .headers()
            .get("content-type")
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned();
        Ok(Answer {
            status: response.status(),
            content_type,
            body: response.text().await?,
        })
    }

    /// Reads a path.
    ///
    /// # Errors
    /// When the gateway cannot be reached.
    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.send(self.request(Method::GET, path)?).await
    }

    /// Sends JSON to a path.
    ///
    /// # Errors
    /// When the gateway cannot be reached.
    pub async fn post(&self, path: &str, body: &impl Serialize) -> Result<Answer> {
        self.send(self.request(Method::POST, path)?.json(body))
            .await
    }

    /// Reads a path with a session's token.
    ///
    /// # Errors
    /// When the gateway cannot be reached.
    pub async fn get_as(&self, session: &Session, path: &str) -> Result<Answer> {
        let request = self.request(Method::GET, path)?;
        self.send(request.bearer_auth(&session.token)).await
    }

    /// Takes a device off, as its owner.
    ///
    /// # Errors
    /// When the gateway cannot be reached.
    pub async fn remove_device(&self, session: &Session, device: DeviceId) -> Result<Answer> {
        let request = self.request(Method::DELETE, &format!("v1/devices/{device}"))?;
        self.send(request.bearer_auth(&session.token)).await
    }

    /// Where the money is.
    ///
    /// # Errors
    /// When the gateway does not say.
    pub async fn chain(&self) -> Result<Chain> {
        self.get("/v1/chain").await?.json()
    }

    /// All feeds.
    ///
    /// # Errors
    /// When the gateway does not say.
    pub async fn feeds(&self) -> Result<FeedList> {
        self.get("/v1/feeds").await?.json()
    }

    /// One feed.
    ///
    /// # Errors
    /// When the gateway does not know it.
    pub async fn feed(&self, feed: FeedId) -> Result<Feed> {
        self.get(&format!("/v1/feeds/{feed}")).await?.json()
    }

    /// All devices.
    ///
    /// # Errors
    /// When the gateway does not say.
    pub async fn devices(&self) -> Result<DeviceList> {
        self.get("/v1/devices").await?.json()
    }

    /// The subscriptions of the wallet of a session.
    ///
    /// # Errors
    /// When the gateway does not say.
    pub async fn subscriptions(&self, session: &Session) -> Result<SubscriptionList> {
        self.get_as(session, "/v1/me/subscriptions").await?.json()
    }

    /// A fresh nonce.
    ///
    /// # Errors
    /// When the gateway gives none.
    pub async fn nonce(&self) -> Result<String> {
        let answer = self.send(self.request(Method::POST, "/v1/auth/nonce")?);
        Ok(answer.await?.json::<Nonce>()?.nonce)
    }

    /// What an honest page of this gateway asks a wallet to sign.
    ///
    /// # Errors
    /// When the gateway gives no nonce.
    pub async fn sign_in_request(&self, chain_id: u64) -> Result<SignIn> {
        let origin = self.base.as_str().trim_end_matches('/').to_owned();
        let domain = origin
            .split_once("://")
            .context("the address of a gateway has a scheme")?
            .1;
        Ok(SignIn {
            domain: domain.to_owned(),
            nonce: self.nonce().await?,
            uri: origin,
            chain_id,
            issued_at: OffsetDateTime::now_utc(),
            expires_at: None,
        })
    }

    /// Sends a signed sign-in text.
    ///
    /// # Errors
    /// When the gateway cannot be reached.
    pub async fn open_session(&self, account: &Account, request: &SignIn) -> Result<Answer> {
        let (message, signature) = account.sign_in(request)?;
        self.post("/v1/auth/session", &SessionRequest { message, signature })
            .await
    }

    /// Signs in.
    ///
    /// # Errors
    /// When the gateway refuses.
    pub async fn sign_in(&self, account: &Account, chain_id: u64) -> Result<Session> {
        let request = self.sign_in_request(chain_id).await?;
        self.open_session(account, &request).await?.json()
    }

    /// Registers a device.
    ///
    /// # Errors
    /// When the gateway cannot be reached.
    pub async fn register(&self, registration: &SignedRegistration) -> Result<Answer> {
        self.post("/v1/devices", registration).await
    }

    /// Gets MQTT credentials for a device by its key.
    ///
    /// # Errors
    /// When the gateway refuses.
    pub async fn credentials(&self, key: &DeviceKey, domain: &Domain) -> Result<Credentials> {
        let nonce = self.nonce().await?;
        let device = key.device_id();
        let signature = key.sign(&domain.credential_request(device, &nonce));
        let request = CredentialRequest { nonce, signature };
        self.request_credentials(device, &request).await?.json()
    }

    /// Asks for MQTT credentials with any request.
    ///
    /// # Errors
    /// When the gateway cannot be reached.
    pub async fn request_credentials(
        &self,
        device: DeviceId,
        request: &CredentialRequest,
    ) -> Result<Answer> {
        self.post(&format!("/v1/devices/{device}/credentials"), request)
            .await
    }

    /// Hands in a listing.
    ///
    /// # Errors
    /// When the gateway cannot be reached.
    pub async fn put_listing(&self, feed: FeedId, listing: &SignedListing) -> Result<Answer> {
        let request = self.request(Method::PUT, &format!("/v1/feeds/{feed}/listing"))?;
        self.send(request.json(listing)).await
    }
}
