use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use ashya_protocol::{Address, AuthorizationFile, FeedAuthorization, FeedName};
use clap::Args;
use url::Url;

use crate::cli::DataArgs;
use crate::data::{DataDir, unix_seconds};
use crate::gateway::Gateway;

/// `ashya-agent authorize`.
#[derive(Debug, Args)]
pub(super) struct AuthorizeArgs {
    #[command(flatten)]
    data: DataArgs,
    /// A gateway that follows the ledger
    #[arg(long, value_name = "URL", env = "ASHYA_AGENT_GATEWAY")]
    gateway: Url,
    /// The wallet that may open the feed
    #[arg(long, value_name = "0x…", env = "ASHYA_AGENT_OWNER")]
    owner: Address,
    /// The name of the feed, 1 to 32 ASCII characters
    #[arg(long)]
    name: FeedName,
    /// How long the owner may take to open it, such as 30d, 12h or 90s
    #[arg(long = "for", value_name = "TIME", default_value = "30d", value_parser = parse_time)]
    time: Duration,
    /// Write the authorization to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) async fn run(args: AuthorizeArgs) -> anyhow::Result<ExitCode> {
    let data = DataDir::open(&args.data.data)?;
    let key = data.device_key()?;
    let domain = Gateway::new(&args.gateway)?.domain().await?;
    data.pin_ledger(domain)?;
    let deadline = unix_seconds() + args.time.as_secs();
    let consent = FeedAuthorization::sign(&key, &domain, args.name, args.owner, deadline);
    let file = AuthorizationFile {
        authorization: consent,
        chain_id: domain.chain_id,
        ledger: domain.ledger,
    };
    let text = serde_json::to_string_pretty(&file)?;
    match &args.out {
        Some(path) => fs::write(path, text + "\n")
            .with_context(|| format!("cannot write {}", path.display()))?,
        None => println!("{text}"),
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads a time such as `30d`, `12h`, `5m` or `90s`.
pub(super) fn parse_time(text: &str) -> anyhow::Result<Duration> {
    let Some((index, unit)) = text.char_indices().next_back() else {
        bail!("expected such as 30d")
    };
    let seconds = match unit {
        'd' => 86_400,
        'h' => 3_600,
        'm' => 60,
        's' => 1,
        _ => bail!("expected a number with d, h, m or s, such as 30d"),
    };
    let count: u64 = text[..index]
        .parse()
        .context("expected a number before the unit")?;
    match count.checked_mul(seconds) {
        // A hundred years: more is a slip, and the ledger's clock has its limits.
        Some(total @ 1..=3_155_760_000) => Ok(Duration::from_secs(total)),
        _ => bail!("expected a time between 1s and 100 years"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (text, seconds) in [
            ("30d", Some(2_592_000)),
            ("12h", Some(43_200)),
            ("5m", Some(300)),
            ("90s", Some(90)),
            ("0s", None),
            ("30", None),
            ("d", None),
            ("", None),
            ("-1d", None),
            ("99999999999999999d", None),
            ("5µ", None),
        ] {
            assert_eq!(
                parse_time(text).ok().map(|time| time.as_secs()),
                seconds,
                "{text:?}"
            );
        }
    }
}
