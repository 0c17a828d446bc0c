use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, ensure};
use ashya_contracts::{Asking, read_keystore, read_password, write_keystore};
use clap::{Args, Subcommand};

use crate::cli::DataArgs;
use crate::data::DataDir;

/// `ashya-agent key`.
#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// Write the device's key to a new file that a password opens (Web3 Secret Storage V3)
    Backup(FileArgs),
    /// Make the key of such a file the device's; never over one that is there
    Restore(FileArgs),
}

#[derive(Debug, Args)]
pub(super) struct FileArgs {
    /// The encrypted copy
    file: PathBuf,
    /// File with its password; asked for at a terminal when left out
    #[arg(long, value_name = "FILE", env = "ASHYA_KEYSTORE_PASSWORD_FILE")]
    password_file: Option<PathBuf>,
    #[command(flatten)]
    data: DataArgs,
}

/// Does what the command says; blocks, since the password is stretched.
pub(super) fn run(command: &KeyCommand) -> anyhow::Result<ExitCode> {
    match command {
        KeyCommand::Backup(args) => backup(args)?,
        KeyCommand::Restore(args) => restore(args)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn backup(args: &FileArgs) -> anyhow::Result<()> {
    let folder = args.data.data.display();
    ensure!(
        args.data.data.is_dir(),
        "there is no data folder {folder}: name it by --data"
    );
    let data = DataDir::open(&args.data.data)?;
    ensure!(
        data.has_key(),
        "there is no key in {folder}: name the data folder of the device by --data"
    );
    let key = data.device_key()?;
    let password = read_password(args.password_file.as_deref(), Asking::ForNew)?;
    write_keystore(&args.file, &password, &key)
        .with_context(|| format!("the copy {}", args.file.display()))?;
    println!("{}", key.device_id());
    eprintln!(
        "wrote {}: keep it and its password apart from this machine. `ashya-agent key restore` makes another machine \
         this device",
        args.file.display()
    );
    Ok(())
}

fn restore(args: &FileArgs) -> anyhow::Result<()> {
    let data = DataDir::open(&args.data.data)?;
    ensure!(
        !data.has_key(),
        "there is a key in {} already: move it away first, if it is not needed any more",
        args.data.data.display()
    );
    // Not while an agent is about to make one.
    let _lock = data.lock()?;
    let password = read_password(args.password_file.as_deref(), Asking::ToOpen)?;
    let key = read_keystore(&args.file, &password)
        .with_context(|| format!("the copy {}", args.file.display()))?;
    data.keep_key(&key)?;
    println!("{}", key.device_id());
    eprintln!("this machine is that device now: the old one must not run any more");
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn args(file: &Path, data: &Path, password: &str) -> FileArgs {
        let password_file = data.with_extension("password");
        fs::write(&password_file, password).unwrap();
        FileArgs {
            file: file.to_owned(),
            password_file: Some(password_file),
            data: DataArgs {
                data: data.to_owned(),
            },
        }
    }

    #[test]
    fn a_key_comes_back_on_a_new_card_and_over_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let (copy, old, new) = (at("copy.json"), at("old"), at("new"));
        assert!(backup(&args(&copy, &old, "word")).is_err(), "no folder");
        let device = DataDir::open(&old).unwrap().device_key().unwrap();
        backup(&args(&copy, &old, "word")).unwrap();
        assert!(
            backup(&args(&copy, &old, "word")).is_err(),
            "over another copy"
        );
        let text = fs::read_to_string(&copy).unwrap();
        assert!(!text.contains(&device.to_secret_hex()), "in the clear");

        let wrong = restore(&args(&copy, &new, "other")).unwrap_err();
        assert!(format!("{wrong:#}").contains("password"), "{wrong:#}");
        assert!(!DataDir::open(&new).unwrap().has_key());
        restore(&args(&copy, &new, "word")).unwrap();
        let restored = DataDir::open(&new).unwrap().device_key().unwrap();
        assert_eq!(restored.device_id(), device.device_id());
        let again = restore(&args(&copy, &new, "word")).unwrap_err();
        assert!(again.to_string().contains("already"), "{again}");
    }
}
