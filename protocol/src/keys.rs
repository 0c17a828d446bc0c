use std::fmt;

use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};
use secp256k1::{Message, PublicKey, SECP256K1, SecretKey};
use thiserror::Error;

use crate::hash::{Hash, keccak256};
use crate::hexbytes::hex_newtype;
use crate::ids::{Address, DeviceId};

/// Why bytes are not a usable secret key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("expected 32 bytes of a secp256k1 secret key, as 64 hexadecimal digits")]
pub struct KeyError;

/// Why a signature names no signer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SignatureError {
    /// The last byte is neither 27 nor 28.
    #[error("the recovery byte is {0}, expected 27 or 28")]
    RecoveryByte(u8),
    /// `s` is in the upper half, which would make a second valid signature of the same event (EIP-2).
    #[error("the signature is malleable: s is in the upper half")]
    HighS,
    /// No public key fits the signature.
    #[error("no signer can be recovered from the signature")]
    Unrecoverable,
}

hex_newtype! {
    /// A recoverable secp256k1 signature as Ethereum writes it: `r ‖ s ‖ v`, `v` 27 or 28.
    Signature, 65
}

/// A secp256k1 secret key: a device's identity, or a wallet's. Its text never shows the secret.
#[derive(Clone)]
pub struct DeviceKey {
    secret: SecretKey,
    address: Address,
}

impl DeviceKey {
    /// Reads a key from its 32 bytes.
    ///
    /// # Errors
    /// When the number is zero or not below the order of the curve.
    pub fn from_bytes(bytes: [u8; 32]) -> Result<Self, KeyError> {
        let secret = SecretKey::from_byte_array(bytes).map_err(|_| KeyError)?;
        let address = address_of(&secret.public_key(SECP256K1));
        Ok(Self { secret, address })
    }

    /// Reads a key from 64 hexadecimal digits, with or without `0x`, with white space around them.
    ///
    /// # Errors
    /// When the text is anything else.
    pub fn from_hex(text: &str) -> Result<Self, KeyError> {
        let digits = text.trim();
        let mut bytes = [0; 32];
        hex::decode_to_slice(digits.strip_prefix("0x").unwrap_or(digits), &mut bytes)
            .map_err(|_| KeyError)?;
        Self::from_bytes(bytes)
    }

    /// The secret as 64 hexadecimal digits, for the file that keeps it.
    pub fn to_secret_hex(&self) -> String {
        hex::encode(self.secret.secret_bytes())
    }

    /// The Ethereum address of the key.
    pub const fn address(&self) -> Address {
        self.address
    }

    /// The device that this key speaks for.
    pub const fn device_id(&self) -> DeviceId {
        DeviceId::new(*self.address.as_bytes())
    }

    /// Signs a 32-byte digest, deterministically (RFC 6979).
    pub fn sign(&self, digest: &Hash) -> Signature {
        let signature = SECP256K1
            .sign_ecdsa_recoverable(Message::from_digest(*digest.as_bytes()), &self.secret);
        let (recovery, compact) = signature.serialize_compact();
        let mut bytes = [0; 65];
        bytes[..64].copy_from_slice(&compact);
        bytes[64] = 27 + u8::from(recovery == RecoveryId::One);
        Signature::new(bytes)
    }
}

impl fmt::Debug for DeviceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeviceKey({})", self.address)
    }
}

impl Signature {
    /// The address whose key made this signature over `digest`.
    ///
    /// # Errors
    /// When the signature is malformed, malleable (EIP-2) or fits no key.
    pub fn recover(&self, digest: &Hash) -> Result<Address, SignatureError> {
        let bytes = self.as_bytes();
        let recovery = match bytes[64] {
            27 => RecoveryId::Zero,
            28 => RecoveryId::One,
            other => return Err(SignatureError::RecoveryByte(other)),
        };
        let compact = &bytes[..64];
        let mut normal = secp256k1::ecdsa::Signature::from_compact(compact)
            .map_err(|_| SignatureError::Unrecoverable)?;
        normal.normalize_s();
        if normal.serialize_compact() != *compact {
            return Err(SignatureError::HighS);
        }
        let signature = RecoverableSignature::from_compact(compact, recovery)
            .map_err(|_| SignatureError::Unrecoverable)?;
        let key = SECP256K1
            .recover_ecdsa(Message::from_digest(*digest.as_bytes()), &signature)
            .map_err(|_| SignatureError::Unrecoverable)?;
        Ok(address_of(&key))
    }
}

fn address_of(key: &PublicKey) -> Address {
    let uncompressed = key.serialize_uncompressed();
    let hash = keccak256(&uncompressed[1..]);
    let mut address = [0; 20];
    address.copy_from_slice(&hash.as_bytes()[12..]);
    Address::new(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> DeviceKey {
        DeviceKey::from_hex("0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
            .unwrap()
    }

    #[test]
    fn the_address_of_a_known_key() {
        assert_eq!(
            key().address().to_string(),
            "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266"
        );
        assert!(!format!("{:?}", key()).contains("ac0974"));
    }

    #[test]
    fn a_signature_names_its_signer_and_nobody_else() {
        let digest = keccak256(b"seen");
        let signature = key().sign(&digest);
        assert_eq!(signature.recover(&digest), Ok(key().address()));
        assert_ne!(
            signature.recover(&keccak256(b"unseen")),
            Ok(key().address())
        );
    }

    #[test]
    fn a_malleable_signature_is_refused() {
        const ORDER: &str = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
        let digest = keccak256(b"seen");
        let mut bytes = *key().sign(&digest).as_bytes();
        let order = hex::decode(ORDER).unwrap();
        let mut borrow = 0i16;
        for index in (0..32).rev() {
            let difference = i16::from(order[index]) - i16::from(bytes[32 + index]) - borrow;
            borrow = i16::from(difference < 0);
            bytes[32 + index] = (difference & 0xff) as u8;
        }
        bytes[64] = 55 - bytes[64];
        assert_eq!(
            Signature::new(bytes).recover(&digest),
            Err(SignatureError::HighS)
        );
    }

    #[test]
    fn bad_recovery_bytes_and_zero_keys_are_refused() {
        assert_eq!(
            Signature::new([1; 65]).recover(&Hash::ZERO),
            Err(SignatureError::RecoveryByte(1))
        );
        assert_eq!(DeviceKey::from_bytes([0; 32]).unwrap_err(), KeyError);
        assert_eq!(DeviceKey::from_hex("abc").unwrap_err(), KeyError);
    }
}
