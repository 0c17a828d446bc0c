//! `ashya-agent check` says what works and what does not, and changes nothing.

use std::process::{Command, Output};

use anyhow::{Result, ensure};
use ashya_tests::{Agent, AgentOptions, World, binary, repository};

use crate::in_world;

fn check(options: &AgentOptions, gateway: &str) -> Result<Output> {
    let output = Command::new(binary("ashya-agent")?)
        .current_dir(repository())
        .arg("check")
        .args(["--gateway", gateway, "--owner", &options.owner.to_string()])
        .arg("--data")
        .arg(&options.data)
        .args(["--source", &options.source])
        .output()?;
    Ok(output)
}

fn lines(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_runs_is_found_well_and_a_gateway_that_is_gone_is_told() {
    in_world(async |world: &mut World| {
        let owner = world.account().await?;
        let agent = Agent::start(world.agent("agent", owner.address(), 1)?).await?;
        let options = agent.options().clone();
        let device = options.device().await?;
        let gateway = options.gateway.to_string();
        let found = check(&options, &gateway)?;
        let said = lines(&found);
        ensure!(found.status.success(), "{said}");
        for words in [
            format!("device {device}"),
            format!("ledger {} on chain 31337", world.ledger().address()),
            "an agent is using it".into(),
            "320x320".into(),
            "ms a picture".into(),
            "gave credentials".into(),
        ] {
            ensure!(said.contains(&words), "{words:?} is not in\n{said}");
        }
        let clock = said.lines().find(|line| line.starts_with("clock"));
        ensure!(clock.is_some_and(|line| line.contains(" ok: ")), "{said}");

        world.gateway.process().kill();
        let found = check(&options, &gateway)?;
        let said = lines(&found);
        ensure!(found.status.code() == Some(1), "{said}");
        ensure!(
            said.contains("gateway   FAILED") && said.contains("do: "),
            "{said}"
        );
        Ok(())
    })
    .await;
}
