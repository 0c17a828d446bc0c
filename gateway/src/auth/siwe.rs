//! Sign-In with Ethereum (EIP-4361): the text that a wallet signs.

use std::time::Duration;

use ashya_protocol::Address;
use thiserror::Error;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use url::Url;

use crate::defaults::SIWE_CLOCK_SKEW;

/// Longest text in bytes: the fields that we ask for need about 400.
const MAX_MESSAGE_BYTES: usize = 4 * 1024;
/// Shortest nonce that EIP-4361 allows.
const MIN_NONCE_CHARS: usize = 8;
const HEADER: &str = " wants you to sign in with your Ethereum account:";

/// A parsed message of EIP-4361. Nothing of it is true before the wallet's signature is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiweMessage {
    /// The host (and port) that asks.
    pub domain: String,
    /// The wallet.
    pub address: Address,
    /// What is signed in to.
    pub uri: String,
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// The gateway's nonce.
    pub nonce: String,
    issued_at: OffsetDateTime,
    expiration: Option<OffsetDateTime>,
    not_before: Option<OffsetDateTime>,
}

/// Why a message is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SiweError {
    /// Not the text that EIP-4361 describes.
    #[error("not a Sign-In with Ethereum message: {0}")]
    Malformed(&'static str),
    /// Another version of the format.
    #[error("the version must be 1")]
    Version,
    /// It was written for another site.
    #[error("the message is for {found:?}, not for this gateway")]
    Domain {
        /// What it names.
        found: String,
    },
    /// Its URI is not on its domain.
    #[error("the URI is not a page of the domain")]
    Uri,
    /// It is for another chain.
    #[error("the message is for chain {found}, this gateway is on chain {expected}")]
    Chain {
        /// The chain that it names.
        found: u64,
        /// The ledger's chain.
        expected: u64,
    },
    /// It is not valid yet.
    #[error("the message is not valid yet: check the clock")]
    NotYet,
    /// It is no longer valid.
    #[error("the message has run out")]
    Expired,
}

impl SiweMessage {
    /// Reads the text, strictly as the grammar of EIP-4361 has it. The address may be in lower case throughout; with
    /// capitals it must be as EIP-55 has them, which finds mistyped ones.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn parse(text: &str) -> Result<Self, SiweError> {
        if text.len() > MAX_MESSAGE_BYTES {
            return Err(SiweError::Malformed("too long"));
        }
        if text.chars().any(|c| c.is_control() && c != '\n') {
            return Err(SiweError::Malformed("a control character"));
        }
        let mut lines = Lines(text.split('\n').peekable());
        let header = lines.next("the first line")?;
        let domain = header
            .strip_suffix(HEADER)
            .ok_or(SiweError::Malformed("the first line"))?;
        let domain = match domain.split_once("://") {
            Some(("http" | "https", rest)) => rest,
            Some(_) => return Err(SiweError::Malformed("the scheme of the domain")),
            None => domain,
        };
        if domain.is_empty() || domain.contains(char::is_whitespace) {
            return Err(SiweError::Malformed("the domain"));
        }
        let address = lines.next("the address")?;
        let address = checked_address(address)?;
        lines.blank()?;
        // Either the statement and a blank line, or a blank line alone.
        if !lines.next("the statement")?.is_empty() {
            lines.blank()?;
        }
        let uri = lines.field("URI: ")?.to_owned();
        let version = lines.field("Version: ")?;
        let chain_id = decimal(lines.field("Chain ID: ")?)?;
        let nonce = lines.field("Nonce: ")?.to_owned();
        if nonce.len() < MIN_NONCE_CHARS || !nonce.bytes().all(|byte| byte.is_ascii_alphanumeric())
        {
            return Err(SiweError::Malformed("the nonce"));
        }
        let issued_at = date_time(lines.field("Issued At: ")?)?;
        let expiration = lines.optional("Expiration Time: ").map(date_time);
        let not_before = lines.optional("Not Before: ").map(date_time);
        lines.optional("Request ID: ");
        lines.resources()?;
        if version != "1" {
            return Err(SiweError::Version);
        }
        Ok(Self {
            domain: domain.to_owned(),
            address,
            uri,
            chain_id,
            nonce,
            issued_at,
            expiration: expiration.transpose()?,
            not_before: not_before.transpose()?,
        })
    }

    /// Checks that the message is for one of `domains` and for `chain_id`, and valid at `now` (since the Unix
    /// epoch, wall clock). The nonce and the signature remain to be checked.
    ///
    /// # Errors
    /// When any of it is not so.
    pub fn check(&self, domains: &[String], chain_id: u64, now: Duration) -> Result<(), SiweError> {
        if !domains
            .iter()
            .any(|domain| domain.eq_ignore_ascii_case(&self.domain))
        {
            return Err(SiweError::Domain {
                found: self.domain.clone(),
            });
        }
        if !is_on(&self.uri, &self.domain) {
            return Err(SiweError::Uri);
        }
        if self.chain_id != chain_id {
            return Err(SiweError::Chain {
                found: self.chain_id,
                expected: chain_id,
            });
        }
        let now = OffsetDateTime::UNIX_EPOCH + now;
        let starts = self
            .not_before
            .map_or(self.issued_at, |time| time.max(self.issued_at));
        if starts > now + SIWE_CLOCK_SKEW {
            return Err(SiweError::NotYet);
        }
        if self.expiration.is_some_and(|end| end <= now) {
            return Err(SiweError::Expired);
        }
        Ok(())
    }
}

/// Whether `uri` is an http or https page of `domain` (host and, unless it is the scheme's own, port).
fn is_on(uri: &str, domain: &str) -> bool {
    let Ok(uri) = Url::parse(uri) else {
        return false;
    };
    let Ok(page) = Url::parse(&format!("{}://{domain}", uri.scheme())) else {
        return false;
    };
    matches!(uri.scheme(), "http" | "https")
        && uri.username().is_empty()
        && uri.password().is_none()
        && uri.origin() == page.origin()
}

/// Whether a text is a URI (RFC 3986).
fn is_uri(text: &str) -> bool {
    Url::parse(text).is_ok()
}

fn checked_address(text: &str) -> Result<Address, SiweError> {
    let malformed = || SiweError::Malformed("the address");
    let address: Address = text.parse().map_err(|_| malformed())?;
    let is_plain = !text.bytes().any(|byte| byte.is_ascii_uppercase());
    if is_plain || address.to_checksummed() == text {
        Ok(address)
    } else {
        Err(malformed())
    }
}

fn decimal(text: &str) -> Result<u64, SiweError> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(SiweError::Malformed("Chain ID"));
    }
    text.parse().map_err(|_| SiweError::Malformed("Chain ID"))
}

fn date_time(text: &str) -> Result<OffsetDateTime, SiweError> {
    OffsetDateTime::parse(text, &Rfc3339).map_err(|_| SiweError::Malformed("a time"))
}

/// The lines of a message, read one after the other.
struct Lines<'a>(std::iter::Peekable<std::str::Split<'a, char>>);

impl<'a> Lines<'a> {
    fn next(&mut self, what: &'static str) -> Result<&'a str, SiweError> {
        self.0.next().ok_or(SiweError::Malformed(what))
    }

    fn blank(&mut self) -> Result<(), SiweError> {
        match self.next("a blank line")? {
            "" => Ok(()),
            _ => Err(SiweError::Malformed("a blank line")),
        }
    }

    fn field(&mut self, label: &'static str) -> Result<&'a str, SiweError> {
        self.optional(label).ok_or(SiweError::Malformed(label))
    }

    fn optional(&mut self, label: &str) -> Option<&'a str> {
        let value = self.0.peek()?.strip_prefix(label)?;
        self.0.next();
        Some(value)
    }

    fn resources(&mut self) -> Result<(), SiweError> {
        let heading = self.0.next();
        let well_formed = match heading {
            None => true,
            Some("Resources:") => self
                .0
                .all(|line| line.strip_prefix("- ").is_some_and(is_uri)),
            Some(_) => false,
        };
        if well_formed {
            Ok(())
        } else {
            Err(SiweError::Malformed("the last lines"))
        }
    }
}

#[cfg(test)]
mod tests;
