use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use clap::Parser;

use super::*;
use ashya_contracts::Deployment;

const LEDGER: &str = "0x5fbdb2315678afecb367f032d93f642f64180aa3";

fn load(file: &str, flags: &[&str]) -> Result<Config, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("gateway.toml");
    let deployment = folder.path().join("deployment.json");
    let chain_id = if file.contains("# mainnet") {
        1
    } else {
        31_337
    };
    std::fs::write(&config, file).unwrap();
    let json = format!(r#"{{"chainId":{chain_id},"ledger":"{LEDGER}","block":1}}"#);
    std::fs::write(&deployment, json).unwrap();
    let mut line = vec!["ashya-gateway", "run", "--config", config.to_str().unwrap()];
    if !flags.contains(&"--ledger") && !file.contains("# nowhere") {
        line.extend(["--deployment", deployment.to_str().unwrap()]);
    }
    line.extend(flags);
    let Command::Run(args) = Args::try_parse_from(line).unwrap().command else {
        panic!("not run")
    };
    Config::load(*args)
}

#[test]
fn the_printed_defaults_are_the_defaults() {
    let printed = Settings::default().to_toml();
    assert_eq!(
        toml::from_str::<Settings>(&printed).unwrap(),
        Settings::default()
    );
    assert!(printed.contains("listen = \"127.0.0.1:8080\""), "{printed}");
}

#[test]
fn flags_override_the_file_and_the_file_overrides_defaults() {
    let file = "[http]\nlisten = \"127.0.0.1:1\"\n[mqtt]\nlisten = \"127.0.0.1:2\"\n";
    let config = load(file, &["--listen", "127.0.0.1:3", "--demo"]).unwrap();
    let ports = [
        config.http.listen,
        config.mqtt.listen,
        config.metrics_listen,
    ];
    assert_eq!(ports.map(|address| address.port()), [3, 2, 9090]);
    assert!(config.demo);
    let deployment = Deployment {
        chain_id: 31_337,
        ledger: LEDGER.parse().unwrap(),
        block: 1,
    };
    assert_eq!(config.chain.ledger, LedgerSource::Deployment(deployment));
}

#[test]
fn a_ledger_needs_its_block() {
    let config = load("", &["--ledger", LEDGER, "--deployment-block", "7"]).unwrap();
    let ledger = LEDGER.parse().unwrap();
    assert_eq!(
        config.chain.ledger,
        LedgerSource::Address { ledger, block: 7 }
    );
}

#[test]
fn bad_configurations_are_one_line() {
    for (file, flags, says) in [
        ("# nowhere", &[][..], "no ledger"),
        ("# mainnet", &["--demo"][..], "31337 only"),
        ("surprise = 1", &[][..], "surprise"),
        ("[http]\nlisten = \"here\"", &[][..], "gateway.toml"),
        (
            "[http]\ndomains = [\"http://a.example\"]",
            &[][..],
            "http.domains",
        ),
        (
            "[http]\ncors_origins = [\"https://a.example/\"]",
            &[][..],
            "http.cors_origins",
        ),
        ("[http]\nrequest_timeout_seconds = 0", &[][..], "at least 1"),
        ("[chain]\nrpc = \"ftp://a.example\"", &[][..], "chain.rpc"),
        ("[history]\nhours = 169", &[][..], "at most 168"),
        ("[history]\nmemory_events = 0", &[][..], "at least 1"),
        ("[history]\nstreams = [\"Frames\"]", &[][..], "gateway.toml"),
        ("", &["--chain-clock", "sun"][..], "wall or head"),
        (
            "",
            &["--mqtt-bridge", "http://me:secret@a.example"][..],
            "mqtt.bridge: must be mqtt://HOST",
        ),
        ("", &["--log-format", "xml"][..], "human or json"),
    ] {
        let message = load(file, flags).unwrap_err().to_string();
        assert!(
            message.contains(says) && !message.contains('\n') && !message.contains("secret"),
            "{file}: {message}"
        );
    }
}

#[test]
fn the_key_of_the_wallet_that_pauses_is_its_owners_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pauser.key");
    std::fs::write(&path, "11".repeat(32)).unwrap();
    let flags = ["--outage-key-file", path.to_str().unwrap()];
    for (mode, taken) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false)] {
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        match load("", &flags) {
            Ok(config) => assert!(taken && config.outage.is_some(), "{mode:o}"),
            Err(error) => {
                let line = error.to_string();
                assert!(!taken && line.contains("chmod 600"), "{line}");
                assert!(!line.contains('\n') && !line.contains("1111"), "{line}");
            }
        }
    }
}

#[test]
fn the_demo_keys_are_anvils() {
    let addresses = DEMO_KEYS.map(|key| {
        let key = ashya_protocol::DeviceKey::from_hex(key).unwrap();
        key.address().to_string()
    });
    assert_eq!(
        addresses,
        [
            "0x14dc79964da2c08b23698b3d3cc7ca32193d9955",
            "0x23618e81e3f5cdf7f54c3d65f7fbc0abf5b21e8f",
            "0xa0ee7a142d267c1f36714e4a8f75612f20a79720",
        ]
    );
}
