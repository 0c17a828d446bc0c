//! The command line: arguments, the configuration that they make, and a command each.

mod args;
mod config;
mod deploy;
mod feeds;
mod hint;
mod keystore;
mod listing;
mod outcome;
mod progress;
mod subscriptions;
mod verify;

use anyhow::Result;

pub(crate) use self::args::Args;
use self::args::{Command, KeyCommand};
pub(crate) use self::config::Config;
pub(crate) use self::hint::hint;
use self::outcome::Outcome;

/// Does what the command says.
///
/// # Errors
/// When the chain, the ledger or the gateway refuses.
pub(crate) async fn run(config: &Config, args: Args) -> Result<Outcome> {
    match args.command {
        Command::Deploy(args) => deploy::deploy(config, &args).await,
        Command::Verify(args) => verify::verify(config, &args).await,
        Command::Key(KeyCommand::New { out }) => keystore::create(&args.keys, &out),
        Command::Key(KeyCommand::Address) => keystore::address(config),
        Command::OpenFeed(args) => feeds::open(config, *args).await,
        Command::Pause { feed } => feeds::pause(config, feed).await,
        Command::Resume { feed } => feeds::resume(config, feed).await,
        Command::Retire { feed } => feeds::retire(config, feed).await,
        Command::Withdraw { feed, max_buckets } => feeds::withdraw(config, feed, max_buckets).await,
        Command::SetDevice(args) => feeds::set_device(config, &args).await,
        Command::Show { feed } => feeds::show(config, feed).await,
        Command::Subscribe(args) => subscriptions::subscribe(config, &args).await,
        Command::Cancel(args) => subscriptions::cancel(config, &args).await,
    }
}
