use ashya_protocol::{Hash, keccak256};

use super::anvil::{Chain, wallet};

const ERC6492_SUFFIX: [u8; 32] = *b"\x64\x92\x64\x92\x64\x92\x64\x92\x64\x92\x64\x92\x64\x92\x64\x92\x64\x92\x64\x92\x64\x92\x64\x92\x64\x92\x64\x92\x64\x92\x64\x92";

#[tokio::test]
async fn a_keys_signature_is_checked_by_the_chain() {
    let chain = Chain::start().await;
    let digest = keccak256(b"Sign in to Ashya");
    let signature = chain.device.sign(&digest);
    let wrapped = [&[0xff; 3][..], &ERC6492_SUFFIX].concat();
    let device = chain.device.address();
    for (name, signer, digest, signature, valid) in [
        ("its own", device, digest, &signature.as_bytes()[..], true),
        (
            "another signer",
            wallet(1).address(),
            digest,
            signature.as_bytes(),
            false,
        ),
        (
            "a contract",
            chain.ledger.address(),
            digest,
            signature.as_bytes(),
            false,
        ),
        (
            "another text",
            device,
            Hash::ZERO,
            signature.as_bytes(),
            false,
        ),
        ("nothing", device, digest, &[], false),
        ("too long", device, digest, &[1; 500], false),
        (
            "a wrapper that does not decode",
            device,
            digest,
            &wrapped,
            false,
        ),
    ] {
        let verdict = chain.rpc.verify_signature(signer, &digest, signature).await;
        assert_eq!(verdict.unwrap(), valid, "{name}");
    }
}
