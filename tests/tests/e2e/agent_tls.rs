//! The real agent at a gateway that speaks TLS.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use ashya_tests::{Addresses, AgentOptions, Gateway, GatewayOptions, Sensor, binary};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::in_world;

const LIMIT: Duration = Duration::from_secs(30);

/// Writes the certificate of an authority of our own, and one that it issues for 127.0.0.1 with its key.
fn issue(folder: &Path) -> Result<()> {
    let mut params = CertificateParams::new([])?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let params = CertificateParams::new(["127.0.0.1".to_owned()])?;
    let certificate = params.signed_by(&key, &issuer)?;
    std::fs::write(folder.join("ca.pem"), issuer.pem())?;
    std::fs::write(folder.join("cert.pem"), certificate.pem())?;
    let secret = folder.join("key.pem");
    std::fs::write(&secret, key.serialize_pem())?;
    use std::os::unix::fs::PermissionsExt;
    Ok(std::fs::set_permissions(
        secret,
        std::fs::Permissions::from_mode(0o600),
    )?)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_speaks_tls_wherever_its_gateway_does_and_trusts_only_whom_it_is_told() {
    in_world(async |world| {
        let folder = world.folder("certificates")?;
        issue(&folder)?;
        let file = |name: &str| folder.join(name).display().to_string();
        let config = file("agent.toml");
        std::fs::write(
            &config,
            format!("[gateway]\nca_file = {:?}\n", file("ca.pem")),
        )?;
        // With a listener for TLS alone, and with a broker that speaks nothing else.
        for (number, more) in [&["--mqtt-tls-listen", "127.0.0.1:0"][..], &[]]
            .into_iter()
            .enumerate()
        {
            let mut flags = vec!["--tls-certificate".to_owned(), file("cert.pem")];
            flags.extend(["--tls-key".to_owned(), file("key.pem")]);
            flags.extend(more.iter().map(ToString::to_string));
            let mut gateway = Gateway::open(GatewayOptions {
                listen: Addresses::local(0, 0, 0),
                data: world.folder(&format!("secure-{number}"))?,
                more: flags,
                ..world.gateway.options().clone()
            })
            .await?;
            let owner = world.account().await?;
            let url = format!("https://{}", gateway.addresses().http).parse()?;
            let options = AgentOptions {
                gateway: url,
                ..world.agent(&format!("sensor-{number}"), owner.address(), 0)?
            };
            let mut sensor = Sensor::start(&options, "temperature", &["--config", &config])?;
            sensor.say("21.5").await?;
            let (receipts, status, said) = sensor.finish(LIMIT).await?;
            ensure!(status.success(), "{status}: {said}");
            ensure!(receipts[0].fate == "acknowledged", "{receipts:?}");

            // `check` trusts the same certificates, and tries the same door.
            for (flags, finding, words) in [
                (
                    &["--config", config.as_str()][..],
                    "ok: ",
                    "answers by TLS, and the gateway gave credentials",
                ),
                (&[], "FAILED: ", "certificate"),
            ] {
                let found = Command::new(binary("ashya-agent")?)
                    .arg("check")
                    .args(["--gateway", options.gateway.as_str()])
                    .args(["--owner", &options.owner.to_string()])
                    .arg("--data")
                    .arg(&options.data)
                    .args(["--source", &options.source])
                    .args(flags)
                    .output()?;
                let said = String::from_utf8_lossy(&found.stdout).into_owned();
                let part = if flags.is_empty() {
                    "gateway"
                } else {
                    "broker"
                };
                let line = said.lines().find(|line| line.starts_with(part));
                ensure!(
                    line.is_some_and(|line| line.contains(finding) && line.contains(words)),
                    "{said}"
                );
            }

            // Nobody vouches for that certificate where nothing is set.
            let mut stranger = Sensor::start(&options, "temperature", &["--wait", "1s"])?;
            stranger.say("22").await?;
            let (receipts, status, said) = stranger.finish(LIMIT).await?;
            ensure!(status.code() == Some(75), "{status}: {said}");
            ensure!(receipts[0].fate == "kept", "{receipts:?}");
            ensure!(said.to_lowercase().contains("certificate"), "{said}");
            gateway.process().check_running()?;
        }
        Ok(())
    })
    .await;
}
