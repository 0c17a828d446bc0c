//! `ashya-ledger deploy`, `verify` and `key` as processes against real chains, with every kind of key.

mod process;

use std::fs;
use std::path::Path;
use std::process::Output;

use anyhow::{Result, ensure};
use ashya_contracts::{Deployed, Deployment, Release, create_keystore};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;
use url::Url;

use process::{start_anvil, start_anvil_with};

/// The first account of anvil's public test mnemonic, which anvil signs for.
const KEY: &str = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
const ACCOUNT: &str = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266";
const SECOND: &str = "0x70997970c51812dc3a010c7d01b50e0d17dc79c8";
const DEPLOY: [&str; 3] = ["deploy", "--out", "deployment.json"];

/// Runs the command in `folder`, with the key in the environment where one is given.
async fn run(folder: &TempDir, rpc: &Url, key: Option<&str>, arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ashya-ledger"));
    command
        .args(["--json", "--rpc", rpc.as_str()])
        .args(arguments)
        .current_dir(folder.path())
        .env_clear()
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true);
    if let Some(key) = key {
        command.env("ASHYA_KEY", key);
    }
    let output = command.output().await?;
    for text in [&output.stdout, &output.stderr] {
        ensure!(
            !String::from_utf8_lossy(text).contains(&KEY[2..]),
            "the secret was shown"
        );
    }
    Ok(output)
}

fn answer<T: serde::de::DeserializeOwned>(output: &Output) -> Result<T> {
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{error}");
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn refusal(output: &Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn file(folder: &TempDir) -> Result<Deployment> {
    let text = fs::read(folder.path().join("deployment.json"))?;
    Ok(serde_json::from_slice(&text)?)
}

fn write(path: &Path, text: &str, mode: u32) -> Result<()> {
    fs::write(path, text)?;
    #[cfg(unix)]
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode))?;
    Ok(())
}

#[tokio::test]
async fn two_chains_and_one_address() -> Result<()> {
    for chain_id in [1_111_u64, 2_222] {
        let (_anvil, rpc) = start_anvil_with(&["--chain-id", &chain_id.to_string()]).await;
        let folder = tempfile::tempdir()?;
        let first: Deployed = answer(&run(&folder, &rpc, Some(KEY), &DEPLOY).await?)?;
        assert_eq!(first.deployment.ledger, Release::address());
        assert_eq!(first.deployment.chain_id, chain_id);
        assert_eq!(file(&folder)?, first.deployment);
        let receipt = first.receipt.expect("a transaction");
        assert_eq!(receipt.block, first.deployment.block);

        // The file is lost, and the chain went on: the block is found again.
        for _ in 0..3 {
            let plain = ["deploy", "--without-create2"];
            let other: Deployed = answer(&run(&folder, &rpc, Some(KEY), &plain).await?)?;
            assert_ne!(other.deployment.ledger, first.deployment.ledger);
        }
        fs::remove_file(folder.path().join("deployment.json"))?;
        let again: Deployed = answer(&run(&folder, &rpc, Some(KEY), &DEPLOY).await?)?;
        assert_eq!((again.deployment, again.receipt), (first.deployment, None));
        assert_eq!(file(&folder)?, first.deployment);

        let verify = ["verify", "--out", "input.json"];
        let verified: Value = answer(&run(&folder, &rpc, None, &verify).await?)?;
        assert_eq!(verified["ledger"], Release::address().to_string());
        assert_eq!(
            fs::read_to_string(folder.path().join("input.json"))?,
            Release::standard_input()
        );
        let proxy = "0x4e59b44847b379578588920ca78fbf26c0b4956c";
        let other = run(&folder, &rpc, None, &["--ledger", proxy, "verify"]).await?;
        assert!(refusal(&other, 1).contains("not the ledger of this release"));
        let nothing = run(&folder, &rpc, None, &["--ledger", SECOND, "verify"]).await?;
        assert!(refusal(&nothing, 1).contains("no contract"));
        let wrong = [&["--chain-id", "5"], &DEPLOY[..]].concat();
        let wrong = run(&folder, &rpc, Some(KEY), &wrong).await?;
        assert!(refusal(&wrong, 1).contains("names chain 5"));
    }
    Ok(())
}

#[tokio::test]
async fn a_chain_without_the_proxy() -> Result<()> {
    let (_anvil, rpc) = start_anvil_with(&["--disable-default-create2-deployer"]).await;
    let folder = tempfile::tempdir()?;
    let error = refusal(&run(&folder, &rpc, Some(KEY), &DEPLOY).await?, 1);
    assert!(
        error.contains("no deterministic deployment proxy"),
        "{error}"
    );
    assert!(error.contains("--without-create2"), "{error}");
    assert!(!folder.path().join("deployment.json").exists());
    let plain = [&DEPLOY[..], &["--without-create2"]].concat();
    let deployed: Deployed = answer(&run(&folder, &rpc, Some(KEY), &plain).await?)?;
    assert_eq!(file(&folder)?, deployed.deployment);
    let verify = ["--deployment", "deployment.json", "verify"];
    answer::<Value>(&run(&folder, &rpc, None, &verify).await?)?;
    Ok(())
}

#[tokio::test]
async fn every_kind_of_key() -> Result<()> {
    let (_anvil, rpc) = start_anvil().await;
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name);
    write(&at("key"), KEY, 0o600)?;
    write(&at("open"), KEY, 0o644)?;
    write(&at("password"), "correct horse\n", 0o600)?;
    write(&at("wrong"), "battery staple", 0o600)?;
    let keystore = ["--keystore", "keystore", "--password-file", "password"];
    let new = [
        "--password-file",
        "password",
        "key",
        "new",
        "--out",
        "keystore",
    ];
    let made: Value = answer(&run(&folder, &rpc, None, &new).await?)?;
    let address = [&keystore[..], &["key", "address"]].concat();
    assert_eq!(
        made,
        answer::<Value>(&run(&folder, &rpc, None, &address).await?)?
    );
    assert!(refusal(&run(&folder, &rpc, None, &new).await?, 1).contains("exists"));
    assert!(create_keystore(&at("keystore"), "x").is_err());

    // The new account has nothing.
    let poor = run(&folder, &rpc, None, &[&keystore[..], &DEPLOY].concat()).await?;
    let error = refusal(&poor, 1);
    assert!(
        error.contains("has 0 wei and needs") && error.contains("hint: send"),
        "{error}"
    );

    let signer = ["--signer", rpc.as_str(), "--from", ACCOUNT];
    let plain = ["deploy", "--without-create2"];
    for source in [&["--key-file", "key"][..], &signer] {
        let arguments = [source, &plain].concat();
        let deployed: Deployed = answer(&run(&folder, &rpc, None, &arguments).await?)?;
        assert!(deployed.receipt.is_some());
        let address = [source, &["key", "address"]].concat();
        let named: Value = answer(&run(&folder, &rpc, None, &address).await?)?;
        assert_eq!(named["address"], ACCOUNT);
    }
    let stranger = [
        "--signer",
        rpc.as_str(),
        "--from",
        "0x00000000000000000000000000000000000000aa",
    ];
    let nobody = run(&folder, &rpc, None, &[&stranger[..], &plain].concat()).await?;
    assert!(refusal(&nobody, 1).contains("needs up to"));

    for (key, arguments, reason) in [
        (
            Some(KEY),
            &["--key-file", "key"][..],
            "not several: --key-file, ASHYA_KEY",
        ),
        (None, &["--key-file", "open"], "chmod 600"),
        (
            None,
            &["--signer", "http://127.0.0.1:1"],
            "--signer and --from",
        ),
        (None, &["--keystore", "keystore"], "--password-file"),
        (
            None,
            &["--keystore", "keystore", "--password-file", "wrong"],
            "does not open it",
        ),
        (
            None,
            &["--keystore", "password", "--password-file", "password"],
            "no keystore",
        ),
        (None, &[], "--keystore"),
    ] {
        let error = refusal(
            &run(&folder, &rpc, key, &[arguments, &plain].concat()).await?,
            64,
        );
        assert!(error.contains(reason), "{arguments:?}: {error}");
        assert_eq!(error.trim().lines().count(), 1, "{error}");
    }
    Ok(())
}

#[tokio::test]
async fn what_goes_wrong_is_said() -> Result<()> {
    let (_anvil, rpc) = start_anvil_with(&["--no-mining"]).await;
    let folder = tempfile::tempdir()?;
    let gone: Url = "http://127.0.0.1:1".parse()?;
    let error = refusal(&run(&folder, &gone, Some(KEY), &DEPLOY).await?, 1);
    assert!(
        error.contains("hint: is a node running at http://127.0.0.1:1?"),
        "{error}"
    );

    let cheap = [&["--max-fee-gwei", "0.000000001"], &DEPLOY[..]].concat();
    let error = refusal(&run(&folder, &rpc, Some(KEY), &cheap).await?, 1);
    assert!(
        error.contains("limit is 1") && error.contains("--max-fee-gwei"),
        "{error}"
    );

    let impatient = [&["--timeout", "1"], &DEPLOY[..]].concat();
    let error = refusal(&run(&folder, &rpc, Some(KEY), &impatient).await?, 1);
    assert!(
        error.contains("sent 0x") && error.contains("may still be mined"),
        "{error}"
    );
    assert!(!folder.path().join("deployment.json").exists());
    Ok(())
}
