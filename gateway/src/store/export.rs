//! What cannot be read again from the chain, as lines of JSON that are checked as a whole.
//!
//! ```text
//! {"ashya":"gateway-store","version":4,"at":1790000000,"ledger":{"chainId":137,"ledger":"0x…"},"generation":5}
//! {"tree":"devices","key":"…","value":{…}}
//! {"records":1,"sha256":"…"}            of all lines before it
//! ```
//!
//! The ledger is the one that the store belongs to. A store that takes the export in belongs to it from then on, since the
//! registrations are signed for it; older exports do not name it. The generation tells whether the store has lost its end
//! since; older exports have none, which counts as 0.

mod folder;

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, Write};
use std::path::Path;

use ashya_protocol::Address;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::filling::{self, Source};
use super::version::{CURRENT, SAME_EXPORTS_SINCE};
use super::{LedgerIdentity, Store, StoreError, Tree};
use crate::chain_clock::wall_clock;

pub(crate) use folder::back_up;
pub(super) use folder::{
    highest_generation, keep_aside, newest_if_later, restore, set_newest_aside,
};

const FORMAT: &str = "gateway-store";
/// Records that are written together.
const BATCH: usize = 1_000;
/// One that is still being written.
const PARTIAL: &str = "partial";

/// Why an export cannot be taken in or written.
#[derive(Debug, Error)]
pub enum ExportError {
    /// The file cannot be read or written.
    #[error("the export file failed")]
    Io(#[from] io::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It is no export, or not a whole one.
    #[error("not a whole export of a gateway: {0}")]
    Damaged(&'static str),
    /// Another layout.
    #[error("the export has layout {found}, this version takes {CURRENT}")]
    Version {
        /// Its layout.
        found: u64,
    },
    /// There is something in the store already.
    #[error("the store is not empty: an export is taken in by a new gateway only")]
    NotEmpty,
    /// It is of another ledger than the store.
    #[error(
        "the export is of ledger {ledger} on chain {chain}, the store belongs to ledger {known_ledger} on chain {known_chain}: give another --data folder"
    )]
    OtherLedger {
        /// The export's ledger.
        ledger: Address,
        /// The export's chain.
        chain: u64,
        /// The store's ledger.
        known_ledger: Address,
        /// The store's chain.
        known_chain: u64,
    },
}

impl ExportError {
    /// Whether the file itself is broken, so that reading it again would not help.
    fn is_damage(&self) -> bool {
        match self {
            Self::Damaged(_) => true,
            // A flipped bit is no UTF-8.
            Self::Io(error) => error.kind() == io::ErrorKind::InvalidData,
            Self::Store(_) | Self::Version { .. } | Self::NotEmpty | Self::OtherLedger { .. } => {
                false
            }
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Header {
    ashya: String,
    version: u64,
    at: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ledger: Option<LedgerIdentity>,
    #[serde(default)]
    generation: u64,
}

#[derive(Serialize, Deserialize)]
struct Line {
    tree: String,
    key: String,
    value: Value,
}

#[derive(Serialize, Deserialize)]
struct Footer {
    records: u64,
    sha256: String,
}

/// What a whole export holds.
pub(super) struct Contents {
    records: u64,
    ledger: Option<LedgerIdentity>,
    pub(super) generation: u64,
}

impl Store {
    /// Writes registrations, listings, positions, nonces, sessions, blocked devices and previews asked for; gives back how many
    /// records. History stays where it is.
    ///
    /// # Errors
    /// When the store or `out` fails.
    pub fn export(&self, out: &mut impl Write) -> Result<u64, ExportError> {
        let (mut hash, mut records) = (Sha256::new(), 0);
        let mut put = |text: String, hash: &mut Sha256| {
            let line = text + "\n";
            hash.update(&line);
            out.write_all(line.as_bytes())
        };
        let header = Header {
            ashya: FORMAT.into(),
            version: CURRENT,
            at: wall_clock().as_secs(),
            ledger: self.identity()?,
            generation: self.generation()?,
        };
        put(json(&header)?, &mut hash)?;
        for (name, tree) in self.exported() {
            for item in &tree.0 {
                let (key, value) = item.map_err(StoreError::from)?;
                let line = Line {
                    tree: name.into(),
                    key: hex::encode(key),
                    value: serde_json::from_slice(&value).map_err(StoreError::from)?,
                };
                put(json(&line)?, &mut hash)?;
                records += 1;
            }
        }
        let sha256 = hex::encode(hash.clone().finalize());
        put(json(&Footer { records, sha256 })?, &mut hash)?;
        out.flush()?;
        Ok(records)
    }

    /// Takes an export in, and belongs to its ledger from then on. It is on the disk when this returns.
    ///
    /// # Errors
    /// When it is not whole or of another ledger, or the store holds something already; then the store's records stay as
    /// they are. When it cannot be read or written to its end the store is of no use, except for another import.
    pub fn import(&self, mut input: impl Read + Seek) -> Result<u64, ExportError> {
        let is_empty = self.exported().iter().all(|(_, tree)| tree.0.is_empty());
        // What is in one that is still to be filled was left there by an import that was stopped.
        if !is_empty && filling::mark_of(&self.db)?.is_none() {
            return Err(ExportError::NotEmpty);
        }
        let contents = check(&mut input)?;
        self.refuse_other_ledger(&contents)?;
        filling::mark(&self.db, Source::File)?;
        self.flush_blocking()?;
        self.fill(|| self.take_in(input, &contents))
    }

    /// Takes away what exports hold.
    pub(super) fn clear_exported(&self) -> Result<(), StoreError> {
        for (_, tree) in self.exported() {
            tree.0.clear()?;
        }
        Ok(())
    }

    /// The index of a store that has run may be there even where nothing else is.
    pub(super) fn refuse_other_ledger(&self, contents: &Contents) -> Result<(), ExportError> {
        match (contents.ledger, self.identity()?) {
            (Some(found), Some(known)) if found != known => Err(ExportError::OtherLedger {
                ledger: found.ledger,
                chain: found.chain_id,
                known_ledger: known.ledger,
                known_chain: known.chain_id,
            }),
            _ => Ok(()),
        }
    }

    fn take_in(&self, input: impl Read, contents: &Contents) -> Result<u64, ExportError> {
        let lines = BufReader::new(input).lines().skip(1);
        let lines = lines.take(usize::try_from(contents.records).unwrap_or(usize::MAX));
        for (number, line) in lines.enumerate() {
            let line: Line =
                serde_json::from_str(&line?).map_err(|_| ExportError::Damaged("a line"))?;
            let trees = self.exported();
            let tree = trees.iter().find(|(name, _)| *name == line.tree);
            let (_, tree) = tree.ok_or(ExportError::Damaged("an unknown tree"))?;
            let key = hex::decode(&line.key).map_err(|_| ExportError::Damaged("a key"))?;
            tree.put(&key, &line.value)?;
            if number % BATCH == BATCH - 1 {
                self.flush_blocking()?;
            }
        }
        // The last of all, so that an export which fails half-way leaves none behind.
        if let Some(ledger) = contents.ledger {
            self.set_identity(ledger)?;
        }
        Ok(contents.records)
    }

    fn exported(&self) -> [(&'static str, &Tree); 7] {
        [
            ("devices", &self.devices),
            ("listings", &self.listings),
            ("positions", &self.positions),
            ("nonces", &self.nonces),
            ("sessions", &self.sessions),
            ("blocked", &self.blocked),
            ("previews", &self.previews),
        ]
    }
}

/// Writes an export to `path` in one piece, for its owner alone.
///
/// # Errors
/// When the store or the disk fails; then nothing is left of it.
pub(crate) fn write_file(store: &Store, path: &Path) -> Result<u64, ExportError> {
    let partial = path.with_extension(PARTIAL);
    let written = write_partial(store, &partial).and_then(|records| {
        fs::rename(&partial, path)?;
        Ok(records)
    });
    if written.is_err() {
        // Why it failed is what counts; and it may not even be there.
        let _ = fs::remove_file(&partial);
    }
    written
}

fn write_partial(store: &Store, partial: &Path) -> Result<u64, ExportError> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = File::options();
    let options = options.write(true).create(true).truncate(true).mode(0o600);
    let mut out = BufWriter::new(options.open(partial)?);
    let records = store.export(&mut out)?;
    let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()?;
    Ok(records)
}

fn take_in_file(store: &Store, path: &Path) -> Result<u64, ExportError> {
    let mut file = File::open(path)?;
    let contents = check(&mut file)?;
    store.take_in(file, &contents)
}

/// Most exports are not later, and are not read to their end.
fn check_if_later(path: &Path, known: u64) -> Result<Option<Contents>, ExportError> {
    let mut file = File::open(path)?;
    if generation_of(&file)? <= known {
        return Ok(None);
    }
    file.rewind()?;
    check(&mut file).map(Some)
}

fn generation_of(file: &File) -> Result<u64, ExportError> {
    let (_, header) = read_header(&mut BufReader::new(file).lines())?;
    Ok(header.generation)
}

/// Whether an export is whole; gives back what it holds, and goes back to its beginning.
fn check(input: &mut (impl Read + Seek)) -> Result<Contents, ExportError> {
    let mut hash = Sha256::new();
    let mut lines = BufReader::new(&mut *input).lines();
    let (first, header) = read_header(&mut lines)?;
    let (mut before, mut records) = (first, 0);
    for line in lines {
        hash.update(&before);
        hash.update("\n");
        before = line?;
        records += 1;
    }
    let footer: Footer =
        serde_json::from_str(&before).map_err(|_| ExportError::Damaged("its end is missing"))?;
    if footer.records + 1 != records || footer.sha256 != hex::encode(hash.finalize()) {
        return Err(ExportError::Damaged("its checksum"));
    }
    input.rewind()?;
    Ok(Contents {
        records: footer.records,
        ledger: header.ledger,
        generation: header.generation,
    })
}

/// The first line, as it stands and as it reads.
fn read_header(
    lines: &mut impl Iterator<Item = io::Result<String>>,
) -> Result<(String, Header), ExportError> {
    let first = lines.next().ok_or(ExportError::Damaged("it is empty"))??;
    let header: Header =
        serde_json::from_str(&first).map_err(|_| ExportError::Damaged("its first line"))?;
    if header.ashya != FORMAT {
        return Err(ExportError::Damaged("its first line"));
    }
    if !(SAME_EXPORTS_SINCE..=CURRENT).contains(&header.version) {
        let found = header.version;
        return Err(ExportError::Version { found });
    }
    Ok((first, header))
}

fn json(record: &impl Serialize) -> Result<String, StoreError> {
    Ok(serde_json::to_string(record)?)
}

#[cfg(test)]
mod tests;
