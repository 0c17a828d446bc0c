//! How a gateway starts, and when it refuses to.

use std::process::Output;

use anyhow::{Result, ensure};
use ashya_contracts::{Ledger, Rpc};
use ashya_protocol::Wei;
use ashya_tests::{
    Account, Addresses, Anvil, AnvilOptions, GatewayOptions, LOCAL_CHAIN, World, WorldOptions,
};

use crate::in_world;

/// Exit code of bad configuration (`EX_USAGE` of sysexits).
const BAD_CONFIGURATION: i32 = 64;

#[tokio::test(flavor = "multi_thread")]
async fn demo_keys_are_offered_by_demo_alone() {
    in_world(async |world| {
        ensure!(world.api().chain().await?.demo_keys.is_empty());
        let options = WorldOptions {
            gateway_flags: vec!["--demo".into()],
            ..WorldOptions::default()
        };
        let demo = World::start_with(options, |_| {}).await?;
        let chain = demo.api().chain().await?;
        ensure!(
            chain.chain_id == LOCAL_CHAIN && chain.demo_keys.len() == 3,
            "{chain:?}"
        );
        ensure!(
            chain.ledger == demo.ledger().address() && chain.rpc_url.is_some(),
            "{chain:?}"
        );
        for key in chain.demo_keys {
            let account = Account::new(ashya_protocol::DeviceKey::from_hex(&key)?);
            let balance = demo.ledger().rpc().balance(account.address()).await?;
            ensure!(balance > Wei::ETH, "a demo key without money");
        }
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn demo_is_refused_on_any_other_chain() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let options = AnvilOptions {
        chain_id: 1_337,
        ..AnvilOptions::default()
    };
    let anvil = Anvil::start(options, folder.path()).await?;
    let deployer = Account::random()?;
    anvil.set_balance(deployer.address(), Wei::ETH).await?;
    let deployment = Ledger::deploy(Rpc::new(anvil.url())?, deployer.wallet()).await?;
    let file = folder.path().join("deployment.json");
    std::fs::write(&file, serde_json::to_vec(&deployment)?)?;
    let options = GatewayOptions {
        listen: Addresses::local(0, 0, 0),
        data: folder.path().join("data"),
        logs: folder.path().to_owned(),
        rpc: anvil.url().clone(),
        deployment: file,
        more: vec!["--demo".into()],
    };
    refused(&run(&options).await?, "31337")
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_configuration_is_one_line_and_exit_code_64() {
    in_world(async |world| {
        let good = world.gateway.options().clone();
        let missing = world.folder("other")?.join("missing.json");
        let nonsense = world.folder("other")?.join("nonsense.json");
        std::fs::write(&nonsense, "{")?;
        for (name, options) in [
            (
                "a missing deployment",
                GatewayOptions {
                    deployment: missing,
                    ..good.clone()
                },
            ),
            (
                "a damaged deployment",
                GatewayOptions {
                    deployment: nonsense,
                    ..good.clone()
                },
            ),
            (
                "an unknown clock",
                GatewayOptions {
                    more: vec!["--chain-clock".into(), "sundial".into()],
                    ..good.clone()
                },
            ),
        ] {
            let options = GatewayOptions {
                data: world.folder("other")?,
                ..options
            };
            let output = run(&options).await?;
            ensure!(
                output.status.code() == Some(BAD_CONFIGURATION),
                "{name}: {output:?}"
            );
            ensure!(!output.stderr.is_empty(), "{name}: no word of explanation");
        }
        Ok(())
    })
    .await;
}

fn refused(output: &Output, word: &str) -> Result<()> {
    ensure!(
        output.status.code() == Some(BAD_CONFIGURATION),
        "{output:?}"
    );
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        said.contains(word) && said.trim().lines().count() == 1,
        "{said}"
    );
    Ok(())
}

/// Runs a gateway that is expected to end by itself.
async fn run(options: &GatewayOptions) -> Result<Output> {
    let mut command = tokio::process::Command::from(options.command()?);
    let output = command.kill_on_drop(true).output();
    Ok(tokio::time::timeout(std::time::Duration::from_secs(20), output).await??)
}
