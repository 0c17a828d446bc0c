//! What an agent lives through: kills at random moments, and a gateway that is away for long.

mod away;
mod kill;
mod record;

use std::env;

use anyhow::{Context, Result};

/// A number from the environment.
fn number(variable: &str) -> Result<Option<u64>> {
    let Some(text) = env::var_os(variable) else {
        return Ok(None);
    };
    let text = text.to_string_lossy();
    let number = text.parse().with_context(|| format!("{variable}={text}"))?;
    Ok(Some(number))
}
