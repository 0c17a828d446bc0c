use anyhow::{Context, Result};
use ashya_contracts::Wallet;
use ashya_protocol::{Address, DeviceKey, keccak256, typed_data};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A wallet whose key is at hand: it pays, and it signs in.
#[derive(Debug, Clone)]
pub struct Account {
    key: DeviceKey,
    wallet: Wallet,
}

/// What a Sign-In with Ethereum text says.
#[derive(Debug, Clone)]
pub struct SignIn {
    /// Host and port of the page.
    pub domain: String,
    /// Origin of the page.
    pub uri: String,
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Nonce of the gateway.
    pub nonce: String,
    /// Time of the text.
    pub issued_at: OffsetDateTime,
    /// When it runs out.
    pub expires_at: Option<OffsetDateTime>,
}

impl Account {
    /// An account of the given secret key.
    pub fn new(key: DeviceKey) -> Self {
        let wallet = Wallet::new(key.clone());
        Self { key, wallet }
    }

    /// An account nobody has seen before.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn random() -> Result<Self> {
        Ok(Self::new(random_key()?))
    }

    /// The address.
    pub fn address(&self) -> Address {
        self.key.address()
    }

    /// The secret key.
    pub fn key(&self) -> &DeviceKey {
        &self.key
    }

    /// The wallet that pays.
    pub fn wallet(&self) -> &Wallet {
        &self.wallet
    }

    /// Signs in: the text and its signature, as the gateway wants them.
    ///
    /// # Errors
    /// When the time cannot be written.
    pub fn sign_in(&self, request: &SignIn) -> Result<(String, String)> {
        let mut text = format!(
            "{domain} wants you to sign in with your Ethereum account:\n{address}\n\nSign in to Ashya\n\nURI: {uri}\n\
             Version: 1\nChain ID: {chain}\nNonce: {nonce}\nIssued At: {issued}",
            domain = request.domain,
            address = checksum(self.address()),
            uri = request.uri,
            chain = request.chain_id,
            nonce = request.nonce,
            issued = request
                .issued_at
                .format(&Rfc3339)
                .context("write the time of a sign-in")?,
        );
        if let Some(end) = request.expires_at {
            text += &format!("\nExpiration Time: {}", end.format(&Rfc3339)?);
        }
        let signature = self.key.sign(&typed_data::personal_message(&text));
        Ok((text, signature.to_string()))
    }
}

/// A new secret key.
///
/// # Errors
/// When the system has no randomness.
pub fn random_key() -> Result<DeviceKey> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
    Ok(DeviceKey::from_bytes(bytes)?)
}

/// The address with the mixed-case checksum of EIP-55.
pub fn checksum(address: Address) -> String {
    let lower = address.to_string();
    let digits = &lower[2..];
    let hash = keccak256(digits.as_bytes());
    let mixed = digits.char_indices().map(|(index, digit)| {
        let nibble = hash.as_bytes()[index / 2] >> (4 * (1 - index % 2)) & 0xf;
        if nibble >= 8 {
            digit.to_ascii_uppercase()
        } else {
            digit
        }
    });
    "0x".chars().chain(mixed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksums_of_eip_55() {
        for text in [
            "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
            "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
            "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
        ] {
            assert_eq!(checksum(text.parse().unwrap()), text);
        }
    }
}
