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

    /// The address with the mixed-case checksum of EIP-55.
    pub fn to_checksummed(self) -> String {
        let digits = hex::encode(self.as_bytes());
        let hash = hex::encode(keccak256(digits.as_bytes()).as_bytes());
        let raised = digits.chars().zip(hash.chars()).map(|(digit, weight)| {
            if weight >= '8' {
                digit.to_ascii_uppercase()
            } else {
                digit
            }
        });
        format!("0x{}", raised.collect::<String>())
    }
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
    fn checksums_of_eip_55() {
        for text in [
            "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
            "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
            "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_checksummed(), text);
        }
    }

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
