//! The ledger against a naive model of it, over random histories on a real chain.
//!
//! ```text
//!  seed ─► Dice ─► draw ─► Operation ─┬─► Model    lists of subscriptions and pauses, summed anew each time
//!                                     └─► Chain    anvil with the committed bytecode
//!                                  compare: answer or error, events, balances, views
//! ```
//!
//! After every operation the two must agree to the wei and to the byte. Each history of a thousand operations has a chain
//! of its own, for anvil slows with its height, and a seed of its own, for seeing it again: history `n` (from zero) of
//! the seed `s` is history 0 of the seed `s + n`. The environment says how much is tried:
//!
//! - `ASHYA_DIFFERENTIAL_OPERATIONS`: 1,000 unless set.
//! - `ASHYA_SEED`: a decimal number, drawn unless set.
//! - `ASHYA_DIFFERENTIAL_REPORT`: a file for the figures, in Markdown.
//! - `ASHYA_DIFFERENTIAL_ARTIFACT`: another build of the ledger than the committed one, to see that this test can fail.

mod answer;
mod call;
mod cast;
mod chain;
mod dice;
mod draw;
mod expectation;
mod history;
mod model;
mod tally;
mod words;

use std::env;
use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use ashya_tests::{now_us, repository};

use crate::tally::Tally;

/// Operations on one chain.
const HISTORY: u64 = 1_000;
/// Operations in continuous integration.
const SHORT: u64 = 1_000;
/// Operations from which on every refusal must have been seen.
const COMPLETE: u64 = 20_000;

#[tokio::test]
async fn the_ledger_agrees_with_a_naive_model() -> Result<()> {
    let operations = number("ASHYA_DIFFERENTIAL_OPERATIONS")?.unwrap_or(SHORT);
    let seed = number("ASHYA_SEED")?.unwrap_or_else(now_us);
    let artifact = env::var_os("ASHYA_DIFFERENTIAL_ARTIFACT").map_or_else(
        || repository().join("contracts/abi/FeedLedger.json"),
        PathBuf::from,
    );
    let start = Instant::now();
    let mut tally = Tally::default();
    let mut done = 0;
    while done < operations {
        let steps = HISTORY.min(operations - done);
        history::run(
            seed.wrapping_add(tally.chains),
            steps,
            &artifact,
            &mut tally,
        )
        .await?;
        tally.chains += 1;
        done += steps;
        eprintln!("{done} operations, {:.0} s", start.elapsed().as_secs_f64());
    }
    let report = tally.report(seed, start.elapsed().as_secs_f64());
    eprintln!("{report}");
    if operations >= COMPLETE {
        tally.check_complete()?;
    }
    if let Some(path) = env::var_os("ASHYA_DIFFERENTIAL_REPORT") {
        fs::write(path, report)?;
    }
    Ok(())
}

/// A number from the environment.
fn number(variable: &str) -> Result<Option<u64>> {
    let Some(text) = env::var_os(variable) else {
        return Ok(None);
    };
    let text = text.to_string_lossy();
    let number = text.parse().with_context(|| format!("{variable}={text}"))?;
    Ok(Some(number))
}
