//! Checking a signed event, beside what a subscriber in Node would use.

use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use ashya_protocol::{Domain, Envelope};
use ashya_tests::repository;
use serde_json::Value;

use crate::table::median;

/// Envelopes that each checks in a round.
const ENVELOPES: u32 = 2_000;

pub(super) fn run(rounds: usize) -> Result<()> {
    let vectors = std::fs::read_to_string(repository().join("protocol/vectors/envelopes.json"))?;
    let vectors: Value = serde_json::from_str(&vectors)?;
    let domain = Domain {
        chain_id: serde_json::from_value(vectors["domain"]["chainId"].clone())?,
        ledger: serde_json::from_value(vectors["domain"]["ledger"].clone())?,
    };
    let envelope = vectors["envelopes"][0]["envelope"].as_str();
    let envelope = envelope
        .and_then(|text| text.strip_prefix("0x"))
        .context("no golden envelope")?;
    let envelope = hex::decode(envelope)?;

    println!(
        "Checking a signed event of {} bytes: decode, EIP-712 digest, recover the signer.",
        envelope.len()
    );
    println!("round   ashya µs/event   viem in Node µs/event   ratio");
    let mut ratios = Vec::with_capacity(rounds);
    for round in 1..=rounds {
        let own = own_seconds(&envelope, &domain)?;
        let peer = peer_seconds()?;
        ratios.push(peer / own);
        let micros = |seconds: f64| seconds * 1e6 / f64::from(ENVELOPES);
        println!(
            "{round:>5}   {:>14.1}   {:>21.1}   {:>5.1}",
            micros(own),
            micros(peer),
            peer / own
        );
    }
    println!("median ratio {:.1}", median(&ratios));
    Ok(())
}

fn own_seconds(envelope: &[u8], domain: &Domain) -> Result<f64> {
    let began = Instant::now();
    for _ in 0..ENVELOPES {
        std::hint::black_box(Envelope::decode(envelope)?.verify(domain)?);
    }
    Ok(began.elapsed().as_secs_f64())
}

fn peer_seconds() -> Result<f64> {
    let output = Command::new("node")
        .arg(repository().join("tests/bench/verify.mjs"))
        .arg(ENVELOPES.to_string())
        .output()
        .context("node is missing")?;
    ensure!(
        output.status.success(),
        "the peer failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}
