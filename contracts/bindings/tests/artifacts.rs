use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// Without a compiler: the committed ABI and bytecode name the sources that they were made from.
#[test]
fn the_artifacts_are_of_these_sources() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources: Vec<PathBuf> = fs::read_dir(root.join("src"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sol"))
        .collect();
    sources.sort();
    assert_eq!(sources.len(), 4);
    let mut hash = Sha256::new();
    for path in sources {
        hash.update(format!("{}\n", path.file_name().unwrap().to_str().unwrap()));
        hash.update(fs::read(path).unwrap());
    }
    let expected = format!("0x{}", hex::encode(hash.finalize()));
    for name in ["FeedLedger", "VerifySignature"] {
        let text = fs::read_to_string(root.join(format!("abi/{name}.json"))).unwrap();
        let artifact: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            artifact["sourceHash"], expected,
            "abi/{name}.json is stale: run `npm run build -w contracts`"
        );
    }
}

/// What explorers are given is made of these sources, too.
#[test]
fn the_standard_input_is_of_these_sources() {
    let input: serde_json::Value = serde_json::from_str(crate::Release::standard_input()).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for name in [
        "src/Earnings.sol",
        "src/FeedLedger.sol",
        "src/IFeedLedger.sol",
    ] {
        let text = fs::read_to_string(root.join(name)).unwrap();
        assert_eq!(
            input["sources"][name]["content"], text,
            "{name} changed: run `npm run build -w contracts`"
        );
    }
}
