use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use thiserror::Error;
use url::Url;

/// The address of a camera on the network.
///
/// Whoever prints it sees scheme and host alone: cameras take passwords and tokens in the user part, in the query and
/// even in the path.
#[derive(Clone, PartialEq, Eq)]
pub struct CameraUrl(Url);

/// Not the address of a camera. It does not repeat the text, which may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CameraUrlError {
    /// It does not parse.
    #[error(
        "the address is no URL ({0}): expected such as rtsp://user:password@camera.local:554/stream1, with %40 for @, \
         %23 for # and %2F for / in the password"
    )]
    Url(#[from] url::ParseError),
    /// It names no machine.
    #[error(
        "the address names no host: expected such as rtsp://user:password@camera.local:554/stream1"
    )]
    Host,
}

impl CameraUrl {
    /// All of it, secrets included: for whoever opens the connection, never for a log.
    pub(crate) fn secret(&self) -> &str {
        self.0.as_str()
    }

    /// The address without user and password.
    pub(crate) fn without_credentials(&self) -> Url {
        let mut url = self.0.clone();
        // Neither can fail on an address that has a host.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url
    }

    /// User and password, decoded.
    pub(crate) fn credentials(&self) -> Option<(String, String)> {
        let decode = |text| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let password = self.0.password().unwrap_or_default();
        (!self.0.username().is_empty() || !password.is_empty())
            .then(|| (decode(self.0.username()), decode(password)))
    }

    /// A text about the address, such as what ffmpeg says, without its secrets.
    pub(crate) fn redact(&self, text: &str) -> String {
        let shown = self.to_string();
        let bare = self.without_credentials();
        let path = &bare[url::Position::BeforePath..];
        let (user, password) = self.credentials().unwrap_or_default();
        let secrets = [
            self.0.as_str(),
            bare.as_str(),
            self.0.password().unwrap_or_default(),
            password.as_str(),
            user.as_str(),
            if path.len() > 1 { path } else { "" },
            self.0.query().unwrap_or_default(),
        ];
        let mut text = Cow::Borrowed(text);
        for (index, secret) in secrets.into_iter().enumerate() {
            if !secret.is_empty() && text.contains(secret) {
                let instead = if index < 2 { shown.as_str() } else { "…" };
                text = text.replace(secret, instead).into();
            }
        }
        text.into_owned()
    }

    pub(crate) fn scheme(&self) -> &str {
        self.0.scheme()
    }
}

impl FromStr for CameraUrl {
    type Err = CameraUrlError;

    fn from_str(text: &str) -> Result<Self, CameraUrlError> {
        let url = Url::parse(text)?;
        match url.host_str() {
            None | Some("") => Err(CameraUrlError::Host),
            Some(_) => Ok(Self(url)),
        }
    }
}

impl fmt::Display for CameraUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.0.host_str().unwrap_or_default();
        write!(f, "{}://{host}", self.0.scheme())?;
        if let Some(port) = self.0.port() {
            write!(f, ":{port}")?;
        }
        if self.0.path().len() > 1 || self.0.query().is_some() {
            write!(f, "/…")?;
        }
        Ok(())
    }
}

impl fmt::Debug for CameraUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CameraUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_secret_is_printed() {
        for (text, shown) in [
            ("rtsp://camera.local", "rtsp://camera.local"),
            ("rtsp://10.0.0.9:8554/", "rtsp://10.0.0.9:8554"),
            (
                "rtsp://admin:s3cret@10.0.0.9:554/live?token=hush",
                "rtsp://10.0.0.9:554/…",
            ),
            (
                "http://[fd00::1]:81/snap.cgi?user=admin&password=s3cret",
                "http://[fd00::1]:81/…",
            ),
            (
                "rtsp://10.0.0.9/user=admin_password=s3cret_channel=1",
                "rtsp://10.0.0.9/…",
            ),
        ] {
            let url: CameraUrl = text.parse().unwrap();
            assert_eq!(url.to_string(), shown);
            assert_eq!(url.secret(), text.trim_end_matches('\n'));
            let debug = format!("{url:?}");
            assert!(!debug.contains("s3cret") && !debug.contains("hush"));
        }
    }

    #[test]
    fn what_others_say_of_it_is_redacted() {
        let url: CameraUrl = "rtsp://admin:p%40ss@cam/live/1?token=hush".parse().unwrap();
        assert_eq!(url.credentials(), Some(("admin".into(), "p@ss".into())));
        assert_eq!(
            url.without_credentials().as_str(),
            "rtsp://cam/live/1?token=hush"
        );
        for (text, redacted) in [
            (
                "rtsp://admin:p%40ss@cam/live/1?token=hush: Connection refused",
                "rtsp://cam/…: Connection refused",
            ),
            ("rtsp://cam/live/1?token=hush: 401", "rtsp://cam/…: 401"),
            ("user admin, password p@ss", "user …, password …"),
            ("GET /live/1?token=hush", "GET …"),
            ("Connection refused", "Connection refused"),
        ] {
            assert_eq!(url.redact(text), redacted);
        }
    }

    #[test]
    fn an_address_needs_a_host() {
        for text in ["rtsp://", "rtsp:///live", "http://user:pa/ss@host/"] {
            let error = text.parse::<CameraUrl>().unwrap_err().to_string();
            assert!(!error.contains("pa/ss"), "{error}");
        }
    }
}
