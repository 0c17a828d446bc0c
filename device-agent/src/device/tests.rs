use std::fs;
use std::sync::Arc;

use ashya_protocol::limits::MAX_STREAMS;
use ashya_protocol::{Address, Position, Seq};
use tempfile::TempDir;
use tokio::time::Instant;

use super::*;
use crate::config::RunArgs;
use crate::spool::{Errand, Place, Spool, SpoolError};
use crate::voice::{Kind, Signed};

const LIMITS: SpoolLimits = SpoolLimits {
    bytes: 1024 * 1024,
    age: Duration::from_secs(3600),
};
const RELEASED_LIMIT: Duration = Duration::from_secs(10);

/// A device that knows its ledger, and whose gateway is away.
fn device() -> (TempDir, Config, DataDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("agent.toml");
    let owner = Address::new([2; 20]);
    let text = format!("[device]\nowner = '{owner}'\n[gateway]\nurl = 'http://127.0.0.1:9'\n");
    fs::write(&file, text).unwrap();
    let loaded = Config::load(RunArgs {
        config: Some(file),
        ..RunArgs::default()
    });
    let config = Config {
        data: folder.path().join("data"),
        ..loaded.unwrap()
    };
    let data = DataDir::open(&config.data).unwrap();
    let domain = Domain {
        chain_id: 31337,
        ledger: Address::new([7; 20]),
    };
    data.pin_ledger(domain).unwrap();
    (folder, config, data)
}

fn named(streams: &[&str]) -> Vec<StreamName> {
    streams.iter().map(|name| name.parse().unwrap()).collect()
}

fn place(stream: &str) -> Place {
    Place {
        stream: stream.parse().unwrap(),
        position: Position {
            boot: Boot::try_from(1).unwrap(),
            seq: Seq::FIRST,
        },
    }
}

fn event(stream: &str) -> Arc<Signed> {
    let Place { stream, position } = place(stream);
    Arc::new(Signed {
        stream,
        boot: position.boot,
        seq: position.seq,
        kind: Kind::Event,
        envelope: b"x".to_vec(),
    })
}

/// Does an errand in the spool of a device that does not run. Its threads may hold the lock for a moment longer.
async fn turn(data: &DataDir, errand: Errand) {
    let device = data.device_key().unwrap().device_id();
    let deadline = Instant::now() + RELEASED_LIMIT;
    loop {
        match Spool::open(&data.spool_folder(), device, LIMITS) {
            Err(SpoolError::Open { .. }) if Instant::now() < deadline => {
                tokio::task::yield_now().await;
            }
            spool => return drop(spool.unwrap().turn(&errand).unwrap()),
        }
    }
}

/// Starts a device with these streams, ends it, and gives back which it has registered.
async fn started(config: &Config, data: &DataDir, streams: &[&str]) -> Vec<StreamName> {
    let stop = CancellationToken::new();
    let claim = Claim::new(config, named(streams)).unwrap();
    let device = claim.begin(config, &stop).await.unwrap().unwrap();
    stop.cancel();
    device.run(Duration::from_secs(5), None, stop).await;
    data.registered_streams().unwrap()
}

#[tokio::test]
async fn a_stream_is_named_until_what_waits_of_it_is_sent() {
    let (_folder, config, data) = device();
    let all = ["detections", "people", "cars"];
    assert_eq!(started(&config, &data, &all).await, named(&all));
    let keep = Errand {
        keep: vec![event("detections"), event("people")],
        ..Errand::default()
    };
    turn(&data, keep).await;
    for _ in 0..2 {
        let registered = started(&config, &data, &["detections"]).await;
        assert_eq!(registered, named(&["detections", "people"]));
    }
    let forget = Errand {
        forget: vec![place("people")],
        ..Errand::default()
    };
    turn(&data, forget).await;
    let registered = started(&config, &data, &["detections"]).await;
    assert_eq!(registered, named(&["detections"]));
}

#[tokio::test]
async fn what_is_left_takes_no_place_of_what_is_configured() {
    let (_folder, config, data) = device();
    let before = ["people", "cars"];
    assert_eq!(started(&config, &data, &before).await, named(&before));
    let keep = Errand {
        keep: before.map(event).to_vec(),
        ..Errand::default()
    };
    turn(&data, keep).await;
    let now: Vec<_> = (1..MAX_STREAMS)
        .map(|number| format!("s{number}"))
        .collect();
    let mut now: Vec<_> = now.iter().map(String::as_str).collect();
    let registered = started(&config, &data, &now).await;
    now.push("people");
    assert_eq!(registered, named(&now));
}

#[tokio::test]
async fn where_the_disk_cannot_be_read_all_streams_of_before_are_named() {
    let (_folder, config, data) = device();
    let before = ["detections", "people"];
    assert_eq!(started(&config, &data, &before).await, named(&before));
    fs::write(data.spool_folder(), "no folder").unwrap();
    let registered = started(&config, &data, &["detections"]).await;
    assert_eq!(registered, named(&before));
}
