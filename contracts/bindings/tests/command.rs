//! The command `ashya-ledger` as a process, against a real chain and a gateway's socket.

mod process;

use std::fs;
use std::path::Path;
use std::process::Output;

use anyhow::{Context, Result, ensure};
use ashya_contracts::Deployment;
use ashya_protocol::{DeviceKey, Domain, FeedId, Listing, rest::SignedListing};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::process::Command;
use url::Url;

use process::start_anvil;

/// The first key of anvil's public test mnemonic.
const KEY: &str = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

/// A folder with a key and a deployment file, and a chain.
struct Desk {
    folder: TempDir,
    rpc: Url,
}

impl Desk {
    async fn call(&self, arguments: &[&str]) -> Result<Output> {
        let output = Command::new(env!("CARGO_BIN_EXE_ashya-ledger"))
            .args(["--json", "--rpc", self.rpc.as_str()])
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .kill_on_drop(true)
            .output();
        Ok(output.await?)
    }

    async fn json(&self, arguments: &[&str]) -> Result<Value> {
        let file = ["--key-file", "key", "--deployment", "deployment.json"];
        let output = self.call(&[&file[..], arguments].concat()).await?;
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{arguments:?}: {error}");
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}

#[tokio::test]
async fn from_deployment_to_refund() -> Result<()> {
    let (_anvil, rpc) = start_anvil().await;
    let desk = Desk {
        folder: tempfile::tempdir()?,
        rpc,
    };
    let at = |name: &str| desk.folder.path().join(name);
    write_key(&at("key"), KEY)?;

    let deploy = [
        "--key-file",
        "key",
        "deploy",
        "--out",
        "deployment.json",
        "--if-missing",
    ];
    ensure!(desk.call(&deploy).await?.status.success());
    let deployment: Deployment = serde_json::from_slice(&fs::read(at("deployment.json"))?)?;
    assert_eq!((deployment.chain_id, deployment.block), (31_337, 1));
    let again = desk.call(&deploy).await?;
    assert_eq!(
        serde_json::from_slice::<Deployment>(&again.stdout)?,
        deployment
    );

    let device = DeviceKey::from_bytes([9; 32])?;
    authorize(&at("authorization.json"), &device, deployment)?;
    let (gateway, requests) = start_gateway().await?;
    let open = [
        "open-feed",
        "--authorization",
        "authorization.json",
        "--price-per-hour",
        "0.0036",
        "--title",
        "Gate",
        "--stream",
        "detections:60",
        "--gateway",
        gateway.as_str(),
    ];
    let opened = desk.json(&open).await?;
    let feed = FeedId::derive(device.device_id(), &"gate".parse()?).to_string();
    assert_eq!(opened["feed"], feed);
    assert_eq!(opened["price"], "1000000000000");
    let (head, body) = requests.await??;
    assert!(
        head.starts_with(&format!("PUT /v1/feeds/{feed}/listing ")),
        "{head}"
    );
    let signed: SignedListing = serde_json::from_str(&body)?;
    let listing = Listing::hash_of(&signed.document);
    assert_eq!(opened["listing"], listing.to_string());
    let domain = Domain {
        chain_id: deployment.chain_id,
        ledger: deployment.ledger,
    };
    let digest = domain.feed_listing(feed.parse()?, listing);
    assert_eq!(
        signed.signature.recover(&digest)?,
        DeviceKey::from_hex(KEY)?.address()
    );
    let idempotent = desk.json(&open[..open.len() - 2]).await?;
    assert_eq!(
        (&idempotent["feed"], &idempotent["receipt"]),
        (&opened["feed"], &Value::Null)
    );

    // A new card in the place of a dead one; the feed keeps its id.
    let new = DeviceKey::from_bytes([10; 32])?;
    authorize(&at("moved.json"), &new, deployment)?;
    let moved = ["set-device", &feed, "--authorization", "moved.json"];
    desk.json(&moved).await?;
    let shown = desk.json(&["show", &feed]).await?;
    assert_eq!(shown["device"], new.device_id().to_string());

    desk.json(&["subscribe", &feed, "--for", "1h"]).await?;
    let shown = desk.json(&["show", &feed]).await?;
    let subscription = &shown["subscription"];
    assert_eq!(
        subscription["expiry"].as_u64().context("expiry")?,
        subscription["start"].as_u64().context("start")? + 3600
    );
    desk.json(&["pause", &feed]).await?;
    assert!(desk.json(&["show", &feed]).await?["clock"]["pausedAt"].is_u64());
    desk.json(&["resume", &feed]).await?;
    assert_eq!(desk.json(&["withdraw", &feed]).await?["paid"], "0");
    let refund = desk.json(&["cancel", &feed]).await?["refund"].clone();
    let refund: u128 = refund.as_str().context("refund")?.parse()?;
    assert!(
        refund > 3500 * 1_000_000_000_000 && refund <= 3600 * 1_000_000_000_000,
        "{refund}"
    );
    desk.json(&["retire", &feed]).await?;
    let refused = desk.json(&["pause", &feed]).await.unwrap_err().to_string();
    assert!(
        refused.contains("the ledger refused: FeedRetired("),
        "{refused}"
    );
    Ok(())
}

#[tokio::test]
async fn bad_configuration_is_one_line_and_64() -> Result<()> {
    let mut desk = Desk {
        folder: tempfile::tempdir()?,
        rpc: "http://127.0.0.1:1".parse()?,
    };
    write_key(&desk.folder.path().join("key"), "not a key")?;
    let feed = FeedId::new([1; 32]).to_string();
    for (rpc, arguments, reason) in [
        ("http://127.0.0.1:1", &["pause", &feed][..], "--deployment"),
        ("http://127.0.0.1:1", &["deploy"], "--key-file"),
        (
            "http://127.0.0.1:1",
            &["--key-file", "key", "deploy"],
            "secret key",
        ),
        ("ftp://127.0.0.1", &["deploy"], "ftp"),
    ] {
        desk.rpc = rpc.parse()?;
        let output = desk.call(arguments).await?;
        let error = String::from_utf8(output.stderr)?;
        assert_eq!(output.status.code(), Some(64), "{arguments:?}: {error}");
        assert!(error.contains(reason), "{error}");
        assert_eq!(error.trim().lines().count(), 1, "{error}");
    }
    Ok(())
}

/// A file as `ashya-ledger` wants a key to be kept.
fn write_key(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text)?;
    #[cfg(unix)]
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    Ok(())
}

fn authorize(path: &Path, device: &DeviceKey, deployment: Deployment) -> Result<()> {
    let domain = Domain {
        chain_id: deployment.chain_id,
        ledger: deployment.ledger,
    };
    let owner = DeviceKey::from_hex(KEY)?.address();
    let deadline = 4_000_000_000;
    let digest = domain.feed_authorization(device.device_id(), &"gate".parse()?, owner, deadline);
    let file = json!({
        "device": device.device_id(), "name": "gate", "owner": owner, "deadline": deadline,
        "signature": device.sign(&digest), "chainId": domain.chain_id, "ledger": domain.ledger,
    });
    Ok(fs::write(path, file.to_string())?)
}

type Request = (String, String);

/// Takes one HTTP request and answers 204: the socket of a gateway, and nothing of its rules.
async fn start_gateway() -> Result<(String, tokio::task::JoinHandle<Result<Request>>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let request = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await?;
        let mut bytes = Vec::new();
        loop {
            ensure!(
                socket.read_buf(&mut bytes).await? > 0,
                "the request ended early"
            );
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n")
                && content_length(head) == Some(body.len())
            {
                let answer = "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
                socket.write_all(answer.as_bytes()).await?;
                return Ok((head.to_owned(), body.to_owned()));
            }
        }
    });
    Ok((url, request))
}

fn content_length(head: &str) -> Option<usize> {
    head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let found = name.eq_ignore_ascii_case("content-length");
        found.then(|| value.trim().parse().ok())?
    })
}
