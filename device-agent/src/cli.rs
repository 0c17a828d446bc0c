//! The command line: what each command asks for and how it answers.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{LogFormat, RunArgs, Settings, default_folder};
use crate::data::DataDir;
use crate::logging;
use crate::runtime::{LibrarySum, RuntimeOptions};

mod authorize;
mod check;
mod detect;
mod key;
mod publish;
mod run;
mod stop;
mod subscribe;

/// Exit code of a command line or configuration that makes no sense (`EX_USAGE` of sysexits.h).
const EXIT_USAGE: u8 = 64;

/// The eye of Ashya: finds objects in pictures and publishes them, signed.
#[derive(Debug, Parser)]
#[command(name = "ashya-agent", version, about)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a model on pictures and show what it finds.
    Detect(detect::DetectArgs),
    /// Run as a device: look, sign and publish until stopped.
    Run(Box<RunArgs>),
    /// Buy a feed as a machine: pay step by step, check every event, print it as JSON.
    Subscribe(Box<subscribe::SubscribeArgs>),
    /// Try data folder, key, camera, model, gateway, clock and broker in turn, and say what to do about what does not
    /// work.
    Check(Box<RunArgs>),
    /// Keep a copy of the device's key, or bring it back.
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Publish lines, files or what a command prints as events of a stream of their own.
    Publish(Box<publish::PublishArgs>),
    /// Let a wallet open a feed of this device on the ledger.
    Authorize(authorize::AuthorizeArgs),
    /// Print the device's id; makes its key where there is none.
    Id(DataArgs),
    /// Print the default configuration as TOML.
    Config,
}

/// Where the device keeps its key.
#[derive(Debug, Clone, Args)]
struct DataArgs {
    /// Folder of the device's key and counters
    #[arg(long, value_name = "DIR", env = "ASHYA_AGENT_DATA", default_value_os_t = default_folder())]
    data: PathBuf,
}

/// Where ONNX Runtime is.
#[derive(Debug, Clone, Args)]
struct RuntimeArgs {
    /// The ONNX Runtime library [default: the one that `make setup` installed]
    #[arg(long, value_name = "PATH", env = "ASHYA_ONNXRUNTIME")]
    onnxruntime: Option<PathBuf>,
    /// Load a library with this sha256 though it is not a known one
    #[arg(long, value_name = "HEX")]
    onnxruntime_sha256: Option<LibrarySum>,
}

impl Cli {
    /// Reads the command line; ends the process with code 64 and a message where it makes no sense.
    pub fn from_command_line() -> Self {
        Self::try_parse().unwrap_or_else(|error| {
            // Printing can only fail where nobody listens.
            let _ = error.print();
            std::process::exit(if error.use_stderr() {
                EXIT_USAGE.into()
            } else {
                0
            })
        })
    }

    /// Does what the command line asks for.
    ///
    /// # Errors
    /// Whatever stopped it, in words.
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        // `run` starts it in the form that its configuration says.
        if !matches!(self.command, Command::Run(_)) {
            logging::start(LogFormat::Human);
        }
        match self.command {
            Command::Detect(args) => {
                tokio::task::spawn_blocking(move || detect::run(&args)).await?
            }
            Command::Run(args) => run::run(*args).await,
            Command::Subscribe(args) => subscribe::run(*args).await,
            Command::Check(args) => check::run(*args).await,
            Command::Key(command) => {
                tokio::task::spawn_blocking(move || key::run(&command)).await?
            }
            Command::Publish(args) => publish::run(*args).await,
            Command::Authorize(args) => authorize::run(args).await,
            Command::Id(DataArgs { data }) => {
                println!("{}", DataDir::open(&data)?.device_key()?.device_id());
                Ok(ExitCode::SUCCESS)
            }
            Command::Config => {
                print!("{}", Settings::default().to_toml());
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

impl From<RuntimeArgs> for RuntimeOptions {
    fn from(args: RuntimeArgs) -> Self {
        Self {
            library: args.onnxruntime,
            sha256: args.onnxruntime_sha256,
        }
    }
}
