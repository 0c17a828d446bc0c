//! Many clients that mean no good, and one that has paid: during and after each attack it gets its events, newcomers sign in,
//! and the gateway's memory stays within a bound.
//!
//! `ASHYA_PROVE=long` makes the crowds as large as `scripts/prove/hostile` records them; each test prints its row of figures.

mod bytes;
mod flood;
mod idle;
mod nonces;
mod readers;
mod shop;
mod slow;

/// How many of something: a tenth and less in every run of the tests, all of them in the long proof.
fn scaled(short: usize, long: usize) -> usize {
    match std::env::var("ASHYA_PROVE").as_deref() {
        Ok("long") => long,
        _ => short,
    }
}

/// Seed of all that is random.
fn seed() -> u64 {
    let seed = std::env::var("ASHYA_SEED").ok();
    seed.and_then(|seed| seed.parse().ok()).unwrap_or(1)
}

/// A row of the proof's table.
fn report(attack: &str, crowd: &str, outcome: &str) {
    println!("| {attack} | {crowd} | {outcome} |");
}
