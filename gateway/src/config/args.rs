use std::net::SocketAddr;
use std::path::PathBuf;

use ashya_protocol::{Address, DeviceId};
use clap::{Parser, Subcommand};

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "ashya-gateway",
    version,
    about = "Forwards device feeds to whoever has paid for them"
)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the gateway
    Run(Box<RunArgs>),
    /// Print the default configuration as TOML
    Config,
    /// Check configuration, limit of open files, TLS, store and chain, and say what is wrong. It makes the data folder
    /// and fleet.key where they are missing: run it as the gateway's user
    Check(Box<RunArgs>),
    /// What the operator orders.
    #[command(flatten)]
    Operator(OperatorCommand),
}

/// What the operator orders.
#[derive(Debug, Subcommand)]
pub enum OperatorCommand {
    /// Shut a device out at once, also while the gateway runs
    Block(DeviceArgs),
    /// Let a blocked device in again
    Unblock(DeviceArgs),
    /// List the blocked devices
    Blocked(DataArgs),
    /// Write what cannot be read again from the chain, history left out, to a file, also while the gateway runs
    Export(FileArgs),
    /// Take an export into the empty data folder of a new gateway
    Import(FileArgs),
}

/// Which gateway is meant.
#[derive(Debug, Clone, clap::Args)]
pub struct DataArgs {
    /// Its data folder; a configuration file, where another may be named, is not read
    #[arg(long, env = "ASHYA_GATEWAY_DATA", default_value = "data")]
    pub data: PathBuf,
}

/// A device of a gateway.
#[derive(Debug, Clone, clap::Args)]
pub struct DeviceArgs {
    /// The device (0x…)
    pub device: DeviceId,
    /// Which gateway is meant.
    #[command(flatten)]
    pub gateway: DataArgs,
}

/// An export of a gateway.
#[derive(Debug, Clone, clap::Args)]
pub struct FileArgs {
    /// The file
    pub file: PathBuf,
    /// Which gateway is meant.
    #[command(flatten)]
    pub gateway: DataArgs,
}

/// Flags and environment; each overrides the configuration file.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct RunArgs {
    /// Configuration file (TOML; see `ashya-gateway config`)
    #[arg(long, env = "ASHYA_GATEWAY_CONFIG")]
    pub config: Option<PathBuf>,
    /// Address for REST, websocket and page; port 0 takes a free one [default: 127.0.0.1:8080]
    #[arg(long, env = "ASHYA_GATEWAY_LISTEN")]
    pub listen: Option<SocketAddr>,
    /// Address of the MQTT broker; port 0 takes a free one [default: 127.0.0.1:1883]
    #[arg(long, env = "ASHYA_GATEWAY_MQTT_LISTEN")]
    pub mqtt_listen: Option<SocketAddr>,
    /// Address of the MQTT broker for TLS alone, by convention port 8883; without it and with a certificate, --mqtt-listen
    /// speaks TLS
    #[arg(long, env = "ASHYA_GATEWAY_MQTT_TLS_LISTEN")]
    pub mqtt_tls_listen: Option<SocketAddr>,
    /// File of the certificate, its chain behind it (PEM), that REST, websocket, page and MQTT show; SIGHUP reads it again
    #[arg(long, value_name = "FILE", env = "ASHYA_GATEWAY_TLS_CERTIFICATE")]
    pub tls_certificate: Option<PathBuf>,
    /// File of the certificate's private key (PEM), readable by its owner alone (chmod 600)
    #[arg(long, value_name = "FILE", env = "ASHYA_GATEWAY_TLS_KEY")]
    pub tls_key: Option<PathBuf>,
    /// Address for metrics; port 0 takes a free one [default: 127.0.0.1:9090]
    #[arg(long, env = "ASHYA_GATEWAY_METRICS_LISTEN")]
    pub metrics_listen: Option<SocketAddr>,
    /// Folder for everything that is kept [default: data]
    #[arg(long, env = "ASHYA_GATEWAY_DATA")]
    pub data: Option<PathBuf>,
    /// JSON-RPC endpoint of a node (http, https, ws or wss); may be repeated: the next is asked when one fails
    /// [default: http://127.0.0.1:8545]
    #[arg(long, env = "ASHYA_GATEWAY_RPC", value_delimiter = ',')]
    pub rpc: Vec<String>,
    /// JSON-RPC endpoint that browsers are told [default: none, they ask by their wallet]
    #[arg(long, env = "ASHYA_GATEWAY_PUBLIC_RPC")]
    pub public_rpc: Option<String>,
    /// Deployment file of the ledger, as `ashya-ledger deploy` writes it
    #[arg(long, env = "ASHYA_GATEWAY_DEPLOYMENT", conflicts_with = "ledger")]
    pub deployment: Option<PathBuf>,
    /// Address of the ledger
    #[arg(long, env = "ASHYA_GATEWAY_LEDGER", requires = "deployment_block")]
    pub ledger: Option<Address>,
    /// Block in which the ledger was deployed
    #[arg(long, env = "ASHYA_GATEWAY_DEPLOYMENT_BLOCK")]
    pub deployment_block: Option<u64>,
    /// File of the key that all gateways of a fleet share: 64 hexadecimal digits, readable by its owner alone (chmod
    /// 600) [default: fleet.key in the data folder, made at the first start]
    #[arg(long, value_name = "FILE", env = "ASHYA_GATEWAY_KEY_FILE")]
    pub key_file: Option<PathBuf>,
    /// Address or network (CIDR) of a proxy that says for whom it asks, by X-Forwarded-For, or by Forwarded where
    /// `[http] forwarded_header` says so; may be repeated
    #[arg(
        long,
        value_name = "CIDR",
        env = "ASHYA_GATEWAY_TRUSTED_PROXY",
        value_delimiter = ','
    )]
    pub trusted_proxy: Vec<String>,
    /// Domain (HOST or HOST:PORT, as browsers show it) for which wallets sign in; may be repeated [default: the address
    /// of --listen and localhost, each with its port]
    #[arg(long, env = "ASHYA_GATEWAY_DOMAIN", value_delimiter = ',')]
    pub domain: Vec<String>,
    /// Origin of another site's page that may use the REST interface; may be repeated
    #[arg(long, env = "ASHYA_GATEWAY_CORS_ORIGIN", value_delimiter = ',')]
    pub cors_origin: Vec<String>,
    /// Host that devices are told for MQTT [default: none, the one that they asked by REST]
    #[arg(long, env = "ASHYA_GATEWAY_MQTT_PUBLIC_HOST")]
    pub mqtt_public_host: Option<String>,
    /// Port that devices are told for MQTT [default: that of --mqtt-listen]
    #[arg(long, env = "ASHYA_GATEWAY_MQTT_PUBLIC_PORT")]
    pub mqtt_public_port: Option<u16>,
    /// Broker of your own whose events are taken too: mqtt[s]://USER:PASSWORD@HOST:PORT (MQTT 5). Whoever runs it can
    /// read the feed. Others on this machine see flags: better give it by environment or file
    #[arg(
        long,
        value_name = "URL",
        env = "ASHYA_GATEWAY_MQTT_BRIDGE",
        hide_env_values = true
    )]
    pub mqtt_bridge: Option<String>,
    /// Key file of the wallet that pauses feeds of silent devices (64 hexadecimal digits), for owners who name it as
    /// their feed's pauser. It needs ETH for gas only: `[outage]` says how much in a day, and 0.05 ETH are enough to offer
    /// the default limit of the fee for all that is sent at once
    #[arg(long, value_name = "FILE", env = "ASHYA_GATEWAY_OUTAGE_KEY_FILE")]
    pub outage_key_file: Option<PathBuf>,
    /// Which clock decides about access: `wall`, or `head` for local chains whose time is moved [default: wall]
    #[arg(long, env = "ASHYA_GATEWAY_CHAIN_CLOCK")]
    pub chain_clock: Option<String>,
    /// Form of the log: `human` or `json` [default: human]
    #[arg(long, env = "ASHYA_GATEWAY_LOG_FORMAT")]
    pub log_format: Option<String>,
    /// Offer wallets with play money on the page; chain 31337 only
    #[arg(long, env = "ASHYA_GATEWAY_DEMO", default_value_t = false)]
    pub demo: bool,
}
