//! What a gateway answers. It is trusted with nothing: neither with its length, nor with where it leads.

use reqwest::Response;
use reqwest::header::LOCATION;
use thiserror::Error;
use url::Url;

/// Bytes of the longest answer that is read: several times the longest document that gateways have.
pub(super) const MAX_ANSWER_BYTES: usize = 1 << 20;
/// Characters of a gateway's own words that are repeated to people.
const MAX_WORDS: usize = 500;

/// Why an answer was not read to its end.
#[derive(Debug, Error)]
pub(super) enum BodyError {
    #[error(transparent)]
    Http(#[from] reqwest::Error),
    #[error("it is longer than {MAX_ANSWER_BYTES} bytes")]
    TooLong,
}

/// Reads an answer to its end.
///
/// # Errors
/// When the connection breaks, or it is longer than any answer has to be.
pub(super) async fn body(mut response: Response) -> Result<Vec<u8>, BodyError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if bytes.len() + chunk.len() > MAX_ANSWER_BYTES {
            return Err(BodyError::TooLong);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// A gateway's own words, fit for a line of a terminal or a log.
pub(super) fn words(text: &str) -> String {
    let plain = |letter: char| if letter.is_control() { ' ' } else { letter };
    text.chars().take(MAX_WORDS).map(plain).collect()
}

/// An address without the name and the password in it.
pub(crate) fn shown(address: &Url) -> Url {
    let mut address = address.clone();
    // Only an address without a host refuses, and has neither.
    let _ = address.set_username("");
    let _ = address.set_password(None);
    address
}

/// What to do about an answer that leads elsewhere.
pub(super) fn redirected(base: &Url, response: &Response) -> String {
    let location = response.headers().get(LOCATION);
    let location = location.and_then(|location| location.to_str().ok());
    advice(base, response.url(), location)
}

fn advice(base: &Url, asked: &Url, location: Option<&str>) -> String {
    match location.and_then(|location| elsewhere(base, asked, location)) {
        Some(other) if base.scheme() == "https" && other.scheme() == "http" => format!(
            "it leads from https to {other}, where anybody could read along: ask the gateway's operator"
        ),
        Some(other) => format!("use {other} as the gateway's address, if you trust it"),
        None => "ask the gateway's operator for its address".to_owned(),
    }
}

/// The address of the gateway that a redirect leads to; none where it makes no sense.
fn elsewhere(base: &Url, asked: &Url, location: &str) -> Option<Url> {
    let mut other = shown(&asked.join(location).ok()?);
    if !matches!(other.scheme(), "http" | "https") || location.len() > MAX_WORDS {
        return None;
    }
    other.set_query(None);
    other.set_fragment(None);
    let folder = base.join(".").ok()?;
    let path = asked.path().strip_prefix(folder.path())?;
    let other_folder = other.path().strip_suffix(path)?.to_owned();
    other.set_path(&other_folder);
    (other != shown(&folder)).then_some(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_says_which_address_to_use() {
        let to = |address: &str| format!("use {address} as the gateway's address, if you trust it");
        let ask = || "ask the gateway's operator for its address".to_owned();
        for (base, location, said) in [
            (
                "http://gate.example",
                "https://gate.example/v1/chain",
                to("https://gate.example/"),
            ),
            (
                "http://u:p@gate.example/a/",
                "https://u:p@gate.example:8443/b/v1/chain?x#y",
                to("https://gate.example:8443/b/"),
            ),
            ("http://gate.example", "/b/v1/chain", to("http://gate.example/b/")),
            (
                "https://gate.example",
                "http://gate.example/v1/chain",
                "it leads from https to http://gate.example/, where anybody could read along: ask the gateway's operator"
                    .to_owned(),
            ),
            ("http://gate.example", "/v1/chain", ask()),
            ("http://gate.example", "https://gate.example/login", ask()),
            ("http://gate.example", "ftp://gate.example/v1/chain", ask()),
            ("http://gate.example", "http://[", ask()),
        ] {
            let base: Url = base.parse().unwrap();
            let asked = base.join("v1/chain").unwrap();
            assert_eq!(advice(&base, &asked, Some(location)), said, "{location}");
            assert_eq!(advice(&base, &asked, None), ask());
        }
    }

    #[test]
    fn words_fit_a_line() {
        assert_eq!(words("a\u{1b}[2J\nb"), "a [2J b");
        assert_eq!(words(&"x".repeat(9_000)).len(), MAX_WORDS);
    }
}
