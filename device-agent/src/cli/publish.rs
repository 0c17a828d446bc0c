use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use ashya_protocol::{ContentType, StreamName};
use clap::Args;
use tokio_util::sync::CancellationToken;

use crate::cli::EXIT_USAGE;
use crate::cli::authorize::parse_time;
use crate::cli::stop::{stop_signal, until_second_signal};
use crate::config::{Config, RunArgs};
use crate::publish::{Input, Outcome, Publication, Receipts, publish};

/// Exit code when the gateway did not take some of it (`EX_DATAERR` of sysexits.h).
const EXIT_REFUSED: u8 = 65;
/// Exit code when some of it waits for the next time (`EX_TEMPFAIL` of sysexits.h).
const EXIT_KEPT: u8 = 75;

/// `ashya-agent publish`.
#[derive(Debug, Args)]
pub(super) struct PublishArgs {
    /// The stream's name, such as temperature: 1 to 32 of a-z, 0-9 and -
    #[arg(long, value_name = "NAME")]
    stream: StreamName,
    /// What the events hold [default: by the ending of a file, else text/plain]
    #[arg(long, value_name = "TYPE")]
    content_type: Option<ContentType>,
    /// Run COMMAND so often, such as 10s or 5m, and publish what it prints
    #[arg(long, value_name = "TIME", value_parser = parse_time, requires = "command")]
    every: Option<Duration>,
    /// How long to wait at the end until the gateway has everything; the rest is sent the next time
    #[arg(long, value_name = "TIME", value_parser = parse_time, default_value = "30s")]
    wait: Duration,
    /// Print a line of JSON about what became of each event
    #[arg(long)]
    receipts: bool,
    /// Configuration file (TOML; see `ashya-agent config`), of which only device, gateway, data, spool and status count
    #[arg(long, value_name = "FILE", env = "ASHYA_AGENT_CONFIG")]
    config: Option<PathBuf>,
    /// The gateway to register with [default: http://127.0.0.1:8080]
    #[arg(long, value_name = "URL", env = "ASHYA_AGENT_GATEWAY")]
    gateway: Option<String>,
    /// Folder of the device's key and counters; no two processes may share one [default: agent-data]
    #[arg(long, value_name = "DIR", env = "ASHYA_AGENT_DATA")]
    data: Option<PathBuf>,
    /// The wallet that this device belongs to; required
    #[arg(long, value_name = "0x…", env = "ASHYA_AGENT_OWNER")]
    owner: Option<String>,
    /// A short name for people [default: Ashya device]
    #[arg(long, env = "ASHYA_AGENT_TITLE")]
    title: Option<String>,
    /// More about the device
    #[arg(long, env = "ASHYA_AGENT_DESCRIPTION")]
    description: Option<String>,
    /// Files to publish, one event each; without files or a command, each line of the standard input is an event
    #[arg(value_name = "FILE", conflicts_with = "command")]
    files: Vec<PathBuf>,
    /// A command to run, after --
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

pub(super) async fn run(args: PublishArgs) -> anyhow::Result<ExitCode> {
    let config = Config::load(RunArgs {
        config: args.config,
        gateway: args.gateway,
        data: args.data,
        owner: args.owner,
        title: args.title,
        description: args.description,
        ..RunArgs::default()
    });
    let config = match config {
        Ok(config) => config,
        Err(error) => {
            eprintln!("{error}");
            return Ok(ExitCode::from(EXIT_USAGE));
        }
    };
    let input = match (args.files, args.command) {
        (_, command) if !command.is_empty() => Input::Command(command, args.every),
        (files, _) if !files.is_empty() => Input::Files(files),
        _ => Input::Stdin,
    };
    let publication = Publication {
        stream: args.stream,
        content_type: args.content_type,
        input,
        patience: args.wait,
        receipts: if args.receipts {
            Receipts::Print
        } else {
            Receipts::Omit
        },
    };
    let stop = CancellationToken::new();
    let mut publishing = std::pin::pin!(publish(&config, publication, &stop));
    let outcome = tokio::select! {
        outcome = &mut publishing => outcome?,
        signal = stop_signal() => {
            tracing::info!("{}: stopping", signal?);
            stop.cancel();
            until_second_signal(publishing).await?
        }
    };
    let Some(outcome) = outcome else {
        eprintln!(
            "stopped before the gateway answered for the first time: nothing was read or published"
        );
        return Ok(ExitCode::from(EXIT_KEPT));
    };
    let Outcome {
        safe,
        waiting,
        is_disk_away,
        refused,
        lost,
    } = outcome;
    eprintln!(
        "{safe} events published, {waiting} wait on the disk for the next time, {refused} refused, {lost} lost"
    );
    if is_disk_away {
        eprintln!("the disk cannot be used: what an earlier time has left on it was not sent");
    }
    Ok(match outcome {
        _ if refused > 0 || lost > 0 => ExitCode::from(EXIT_REFUSED),
        _ if waiting > 0 || is_disk_away => ExitCode::from(EXIT_KEPT),
        _ => ExitCode::SUCCESS,
    })
}
