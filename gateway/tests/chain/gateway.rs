//! The gateway in this process, on free ports.

use std::future::Future;
use std::path::Path;
use std::time::Duration;

use ashya_contracts::Deployment;
use ashya_gateway::{Config, Listeners, RunArgs, ServerError, run};
use ashya_protocol::rest::{Nonce, Session, SubscriptionList};
use ashya_protocol::typed_data::personal_message;
use ashya_protocol::{DeviceKey, FeedId};
use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use url::Url;

/// Longest wait for anything that has to come.
const PATIENCE: Duration = Duration::from_secs(15);

pub(crate) struct Gateway {
    pub(crate) host: String,
    client: Client,
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), ServerError>>,
}

impl Gateway {
    pub(crate) async fn start(folder: &Path, rpc: &Url, deployment: &Deployment) -> Self {
        let config = config(folder, rpc, deployment);
        let listeners = Listeners::bind(&config).unwrap();
        let host = listeners.http.local_addr().unwrap().to_string();
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(run(config, listeners, shutdown.clone()));
        let gateway = Self {
            host,
            client: Client::new(),
            shutdown,
            task,
        };
        gateway.wait_for("/v1/health/live", StatusCode::OK).await;
        gateway
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap().unwrap();
    }

    pub(crate) async fn get(&self, path: &str) -> (StatusCode, Value) {
        send(self.client.get(self.url(path))).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        send(self.client.put(self.url(path)).json(body)).await
    }

    /// Waits until a path answers with `status`, and gives the answer.
    pub(crate) async fn wait_for(&self, path: &str, status: StatusCode) -> Value {
        let url = self.url(path);
        until(path, || async {
            let answer = self.client.get(&url).send().await.ok()?;
            if answer.status() != status {
                return None;
            }
            answer.json().await.ok()
        })
        .await
    }

    pub(crate) async fn nonce(&self) -> String {
        let answer = self
            .client
            .post(self.url("/v1/auth/nonce"))
            .send()
            .await
            .unwrap();
        answer.json::<Nonce>().await.unwrap().nonce
    }

    /// The text that `key` signs to come in with `nonce`.
    pub(crate) fn message(&self, key: &DeviceKey, nonce: &str) -> String {
        format!(
            "{host} wants you to sign in with your Ethereum account:\n{}\n\nSign in to Ashya\n\n\
             URI: http://{host}\nVersion: 1\nChain ID: 31337\nNonce: {nonce}\n\
             Issued At: 2026-01-01T00:00:00Z",
            key.address(),
            host = self.host,
        )
    }

    /// Sends a message with the signature that `signer` makes of it.
    pub(crate) async fn session(&self, message: &str, signer: &DeviceKey) -> (StatusCode, Value) {
        let signature = signer.sign(&personal_message(message));
        let body = json!({ "message": message, "signature": signature });
        send(self.client.post(self.url("/v1/auth/session")).json(&body)).await
    }

    pub(crate) async fn sign_in(&self, key: &DeviceKey) -> Session {
        let message = self.message(key, &self.nonce().await);
        let (status, session) = self.session(&message, key).await;
        assert_eq!(status, StatusCode::OK, "{session}");
        serde_json::from_value(session).unwrap()
    }

    pub(crate) async fn subscriptions(&self, token: &str) -> SubscriptionList {
        let asked = self
            .client
            .get(self.url("/v1/me/subscriptions"))
            .bearer_auth(token);
        asked.send().await.unwrap().json().await.unwrap()
    }

    /// Waits until the wallet's only subscription is live, or is not.
    pub(crate) async fn wait_for_live(&self, token: &str, feed: FeedId, live: bool) -> Option<u64> {
        until("a subscription", || async {
            let list = self.subscriptions(token).await.subscriptions;
            let one = list.into_iter().find(|one| one.feed == feed)?;
            (one.live == live).then_some(one.expires_at)
        })
        .await
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.host)
    }
}

pub(crate) fn config(folder: &Path, rpc: &Url, deployment: &Deployment) -> Config {
    let file = folder.join("deployment.json");
    std::fs::write(&file, serde_json::to_vec(deployment).unwrap()).unwrap();
    let any = Some("127.0.0.1:0".parse().unwrap());
    let args = RunArgs {
        listen: any,
        mqtt_listen: any,
        metrics_listen: any,
        data: Some(folder.join("data")),
        rpc: vec![rpc.to_string()],
        deployment: Some(file),
        ..RunArgs::default()
    };
    Config::load(args).unwrap()
}

async fn send(request: RequestBuilder) -> (StatusCode, Value) {
    let answer = request.send().await.unwrap();
    let status = answer.status();
    (status, answer.json().await.unwrap_or(Value::Null))
}

pub(crate) async fn until<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut ask: impl FnMut() -> F,
) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "{what} did not come");
        sleep(Duration::from_millis(20)).await;
    }
}
