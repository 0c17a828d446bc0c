//! End-to-end tests over the real programs and a real chain. Each test has a world of its own.

mod access;
mod agent_metrics;
mod agent_tls;
mod agents;
mod away;
mod cameras;
mod cards;
mod check;
mod damaged;
mod expiry;
mod eye;
mod full_disk;
mod hostile;
mod isolation;
mod money;
mod objects;
mod outage;
mod prompt;
mod publish;
mod refusals;
mod rest;
mod restart;
mod resume;
mod rfc6455;
mod services;
mod sessions;
mod sign_in;
mod smart_accounts;
mod start;
mod subscribe;
mod telemetry;

use anyhow::Result;
use ashya_tests::World;

/// Runs a test in a world of its own. A failure panics while the world still stands, so that it prints its logs.
async fn in_world(test: impl AsyncFnOnce(&mut World) -> Result<()>) {
    let mut world = World::start().await.unwrap();
    if let Err(error) = test(&mut world).await {
        panic!("{error:?}");
    }
}
