use std::time::Duration;

use http_auth::{PasswordClient, PasswordParams};
use reqwest::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use reqwest::{Client, Response, StatusCode};
use url::{Position, Url};

use crate::source::camera_url::CameraUrl;
use crate::source::http::HttpError;

/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// Asks one address again and again, with Basic or Digest authentication as the camera wants it.
pub(super) struct HttpCamera {
    client: Client,
    url: Url,
    credentials: Option<(String, String)>,
    /// How the camera wants to be convinced, once it has said so.
    authentication: Option<PasswordClient>,
}

impl HttpCamera {
    pub(super) fn new(url: &CameraUrl) -> Result<Self, HttpError> {
        let client = Client::builder().connect_timeout(CONNECT).build()?;
        Ok(Self {
            client,
            url: url.without_credentials(),
            credentials: url.credentials(),
            authentication: None,
        })
    }

    /// Asks, and answers the camera's challenge when there is one.
    pub(super) async fn get(&mut self) -> Result<Response, HttpError> {
        let answer = self.ask().await?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return accept(answer);
        }
        if self.credentials.is_none() {
            return Err(HttpError::NeedsPassword);
        }
        let challenges = answer.headers().get_all(WWW_AUTHENTICATE);
        let mut builder = PasswordClient::builder();
        for challenge in challenges.iter().filter_map(|value| value.to_str().ok()) {
            builder = builder.challenges(challenge);
        }
        // A nonce that has grown old is answered with a new one, so each refusal is worth one more try.
        self.authentication = Some(builder.build().map_err(HttpError::Authentication)?);
        accept(self.ask().await?)
    }

    async fn ask(&mut self) -> Result<Response, HttpError> {
        let mut request = self.client.get(self.url.clone());
        if let (Some(authentication), Some((username, password))) =
            (&mut self.authentication, &self.credentials)
        {
            let header = authentication
                .respond(&PasswordParams {
                    username,
                    password,
                    uri: &self.url[Position::BeforePath..Position::AfterQuery],
                    method: "GET",
                    body: Some(&[]),
                })
                .map_err(HttpError::Authentication)?;
            request = request.header(AUTHORIZATION, header);
        }
        Ok(request.send().await?)
    }
}

fn accept(answer: Response) -> Result<Response, HttpError> {
    match answer.status() {
        status if status.is_success() => Ok(answer),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(HttpError::WrongPassword),
        status => Err(HttpError::Status(status.as_u16())),
    }
}
