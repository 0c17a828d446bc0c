use crate::hash::keccak256;
use crate::hexbytes::hex_newtype;
use crate::names::FeedName;

hex_newtype! {
    /// An Ethereum address: a wallet or a contract. Parses any case, prints lower case.
    Address, 20
}

hex_newtype! {
    /// A device: the Ethereum address of its secp256k1 key.
    DeviceId, 20
}

hex_newtype! {
    /// A feed on the ledger: `keccak256(abi.encode(device, name))` with the device that first opened it.
    FeedId, 32
}

impl Address {
    /// The zero address, by which the ledger says "nobody".
    pub const ZERO: Self = Self::new([0; 20]);
}

impl DeviceId {
    /// The device's address as the ledger sees it.
    pub const fn address(self) -> Address {
        Address::new(*self.as_bytes())
    }
}

impl From<Address> for DeviceId {
    fn from(address: Address) -> Self {
        Self::new(*address.as_bytes())
    }
}

impl FeedId {
    /// The id of the feed that `device` opens under `name`.
    pub fn derive(device: DeviceId, name: &FeedName) -> Self {
        let mut encoded = [0; 64];
        encoded[12..32].copy_from_slice(device.as_bytes());
        encoded[32..].copy_from_slice(&name.to_bytes32());
        Self::new(*keccak256(&encoded).as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_parse_any_case_and_print_lower_case() {
        let address: Address = "0xF39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
            .parse()
            .unwrap();
        assert_eq!(
            address.to_string(),
            "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266"
        );
    }

    #[test]
    fn malformed_addresses_are_refused() {
        for text in [
            "",
            "0x",
            "f39fd6e51aad88f6f4ce6ab8827279cfffb92266",
            "0xf39f",
            "0xg39fd6e51aad88f6f4ce6ab8827279cfffb92266",
            "0xé9fd6e51aad88f6f4ce6ab8827279cfffb9226",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text:?}");
        }
    }
}
