//! What the operator orders while the gateway runs or not: `ashya-gateway block|unblock|blocked|export|import`.
//!
//! A running gateway holds the store's lock, so it takes orders on a socket in its data folder, which only the folder's
//! owner may enter. Without one, the store itself is opened.

mod line;

use std::io;
use std::path::{Path, PathBuf};

use ashya_protocol::DeviceId;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::chained::Chained;
use crate::config::OperatorCommand;
use crate::data_folder::{self, DataFolderError};
use crate::registry::Blocklist;
use crate::store::{self, ExportError, Store, StoreError};

pub(crate) use line::{Line, is_served, listen, serve};

/// Something that the operator wants done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "kebab-case", deny_unknown_fields)]
enum Order {
    /// Shuts a device out, at once.
    Block {
        /// The device.
        device: DeviceId,
    },
    /// Lets it in again.
    Unblock {
        /// The device.
        device: DeviceId,
    },
    /// Lists the devices that are shut out.
    Blocked,
    /// Writes an export.
    Export {
        /// The file, as the gateway sees it.
        path: PathBuf,
    },
}

/// Why an order cannot be carried out.
#[derive(Debug, Error)]
pub enum OrderError {
    /// The data folder cannot be used.
    #[error(transparent)]
    DataFolder(#[from] DataFolderError),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The export cannot be written or read.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// The running gateway cannot be asked.
    #[error("cannot talk to the running gateway")]
    Io(#[from] io::Error),
    /// The running gateway answers with a refusal.
    #[error("the gateway refuses: {0}")]
    Refused(String),
}

/// Has a command carried out by the gateway that runs on its data folder, or without one on its store. Gives back what
/// to print.
///
/// # Errors
/// When neither can be done.
pub fn operate(command: &OperatorCommand) -> Result<String, OrderError> {
    match command {
        OperatorCommand::Block(args) => {
            let device = args.device;
            order(&args.gateway.data, &Order::Block { device })
        }
        OperatorCommand::Unblock(args) => {
            let device = args.device;
            order(&args.gateway.data, &Order::Unblock { device })
        }
        OperatorCommand::Blocked(args) => order(&args.data, &Order::Blocked),
        OperatorCommand::Export(args) => {
            // The running gateway may stand in another folder.
            let path = std::path::absolute(&args.file)?;
            order(&args.gateway.data, &Order::Export { path })
        }
        OperatorCommand::Import(args) => import(&args.gateway.data, &args.file),
    }
}

fn order(data: &Path, order: &Order) -> Result<String, OrderError> {
    if let Some(answer) = line::ask(data, order)? {
        return answer.map_err(OrderError::Refused);
    }
    data_folder::prepare(data)?;
    let path = data.join("store");
    let (store, blocked) = if path.exists() {
        store::open_unchanged(&path, load)?
    } else {
        load(Store::open(&path)?)?
    };
    carry_out(order, &store, &blocked)
}

fn load(store: Store) -> Result<(Store, Blocklist), StoreError> {
    let blocked = Blocklist::load(store.clone())?;
    Ok((store, blocked))
}

/// Takes an export into the empty store of a gateway that does not run.
fn import(data: &Path, file: &Path) -> Result<String, OrderError> {
    data_folder::prepare(data)?;
    let file = std::fs::File::open(file).map_err(ExportError::from)?;
    let store = Store::open_for_import(&data.join("store"))?;
    let records = store.import(file)?;
    Ok(format!("{records} records taken in"))
}

fn carry_out(order: &Order, store: &Store, blocked: &Blocklist) -> Result<String, OrderError> {
    Ok(match order {
        Order::Block { device } => {
            let is_new = blocked.block(*device)?;
            tracing::info!(device.id = %device, "blocked");
            said(*device, is_new, "is blocked", "was blocked already")
        }
        Order::Unblock { device } => {
            let is_new = blocked.unblock(*device)?;
            tracing::info!(device.id = %device, "unblocked");
            said(*device, is_new, "is no longer blocked", "was not blocked")
        }
        Order::Blocked => {
            let lines = blocked.all().into_iter();
            let lines = lines.map(|(device, since)| format!("{device} since {since}"));
            lines.collect::<Vec<_>>().join("\n")
        }
        Order::Export { path } => {
            let records = store::write_file(store, path)?;
            format!("{records} records in {}", path.display())
        }
    })
}

fn said(device: DeviceId, is_new: bool, new: &str, old: &str) -> String {
    format!("{device} {}", if is_new { new } else { old })
}

/// An error as the operator reads it.
fn words(error: &OrderError) -> String {
    Chained(error).to_string()
}

#[cfg(test)]
mod tests;
