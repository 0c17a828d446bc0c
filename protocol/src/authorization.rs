use serde::{Deserialize, Serialize};

use crate::ids::{Address, DeviceId};
use crate::keys::{DeviceKey, Signature, SignatureError};
use crate::names::FeedName;
use crate::typed_data::Domain;

/// A device's consent that `owner` sells it under `name`, as `FeedLedger.openFeed` checks it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FeedAuthorization {
    /// The device.
    pub device: DeviceId,
    /// Name of the feed.
    pub name: FeedName,
    /// Who may open the feed.
    pub owner: Address,
    /// Last Unix second at which the consent is valid.
    pub deadline: u64,
    /// The device's signature of [`Domain::feed_authorization`].
    pub signature: Signature,
}

/// A consent with the ledger that it is for: the file that `ashya-agent authorize` writes and `ashya-ledger open-feed`
/// reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthorizationFile {
    /// The consent.
    #[serde(flatten)]
    pub authorization: FeedAuthorization,
    /// EIP-155 id of the ledger's chain.
    pub chain_id: u64,
    /// The ledger.
    pub ledger: Address,
}

impl FeedAuthorization {
    /// A device's consent, signed with its key for one ledger.
    pub fn sign(
        key: &DeviceKey,
        domain: &Domain,
        name: FeedName,
        owner: Address,
        deadline: u64,
    ) -> Self {
        let device = key.device_id();
        let signature = key.sign(&domain.feed_authorization(device, &name, owner, deadline));
        Self {
            device,
            name,
            owner,
            deadline,
            signature,
        }
    }

    /// Who signed the consent for this ledger; it counts only when that is the device.
    ///
    /// # Errors
    /// When the signature names nobody.
    pub fn signer(&self, domain: &Domain) -> Result<Address, SignatureError> {
        let digest = domain.feed_authorization(self.device, &self.name, self.owner, self.deadline);
        self.signature.recover(&digest)
    }
}

impl AuthorizationFile {
    /// The ledger that the consent is for.
    pub const fn domain(&self) -> Domain {
        Domain {
            chain_id: self.chain_id,
            ledger: self.ledger,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_reads_as_documented() {
        let key = DeviceKey::from_bytes([5; 32]).unwrap();
        let domain = Domain {
            chain_id: 31337,
            ledger: Address::new([7; 20]),
        };
        let owner = Address::new([9; 20]);
        let name = "north gate".parse().unwrap();
        let file = AuthorizationFile {
            authorization: FeedAuthorization::sign(&key, &domain, name, owner, 1_790_000_000),
            chain_id: domain.chain_id,
            ledger: domain.ledger,
        };
        let consent = &file.authorization;
        let json = format!(
            r#"{{"device":"{}","name":"north gate","owner":"{owner}","deadline":1790000000,"signature":"{}","chainId":31337,"ledger":"{}"}}"#,
            key.device_id(),
            consent.signature,
            domain.ledger,
        );
        assert_eq!(serde_json::to_string(&file).unwrap(), json);
        let read: AuthorizationFile = serde_json::from_str(&json).unwrap();
        assert_eq!(read, file);
        assert_eq!(consent.signer(&read.domain()), Ok(key.address()));
        let elsewhere = Domain {
            chain_id: 1,
            ..domain
        };
        assert_ne!(consent.signer(&elsewhere), Ok(key.address()));
    }
}
