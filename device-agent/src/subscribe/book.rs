//! What a subscriber must not forget, in a folder of its own for each feed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ashya_protocol::{Address, DeviceId, Domain, FeedId, Position, StreamName, Wei};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::data::{DataDir, DataError, DataLock, read_if_there, replace};
use crate::subscribe::purse::Purse;

/// The money and whom it goes to.
const ACCOUNT_FILE: &str = "account.json";
/// The last event of each stream.
const POSITIONS_FILE: &str = "positions.json";

/// The books of one feed on the disk, in use by this process alone.
#[derive(Debug)]
pub(crate) struct Book {
    folder: PathBuf,
    account: Account,
    _lock: DataLock,
}

/// Everything about the money.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Account {
    /// Who pays.
    pub(crate) wallet: Address,
    /// EIP-155 id of the chain.
    pub(crate) chain_id: u64,
    /// The contract that is paid.
    pub(crate) ledger: Address,
    /// The price at the first start, which is the highest that is paid where the buyer names none.
    pub(crate) first_price: Wei,
    /// Whether the gateway has let us watch since the last purchase.
    pub(crate) honoured: bool,
    /// What was spent.
    pub(crate) purse: Purse,
}

/// Where a subscriber is in the streams of a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Positions {
    /// The device.
    pub(crate) device: DeviceId,
    /// The last event of each stream that was handed on.
    pub(crate) last: BTreeMap<StreamName, Position>,
}

/// Why the books cannot be used.
#[derive(Debug, Error)]
pub(crate) enum BookError {
    /// The disk refuses.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Another subscriber uses them.
    #[error("another subscriber to this feed is running with {0}; name another folder by --state")]
    InUse(String),
    /// A file holds something else.
    #[error(
        "{path} cannot be read: {reason}. It says what was paid and must not be guessed: bring back a copy, or name \
         another folder by --state and begin anew"
    )]
    Damaged {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
    /// It was begun by another wallet, on another chain or ledger.
    #[error(
        "{path} belongs to wallet {wallet}, ledger {ledger} on chain {chain_id}: use those, or name another folder by \
         --state"
    )]
    Other {
        /// The file.
        path: String,
        /// Its wallet.
        wallet: Address,
        /// Its ledger.
        ledger: Address,
        /// Its chain.
        chain_id: u64,
    },
}

/// The folder of one feed.
#[derive(Debug)]
pub(crate) struct Shelf {
    folder: PathBuf,
    lock: DataLock,
}

impl Shelf {
    /// Opens the folder of a feed for this process alone.
    ///
    /// # Errors
    /// When it cannot be made, or another process has it.
    pub(crate) fn open(state: &Path, feed: FeedId) -> Result<Self, BookError> {
        let folder = state.join(feed.to_string());
        let lock = match DataDir::open(&folder)?.lock() {
            Err(DataError::InUse(path)) => return Err(BookError::InUse(path)),
            lock => lock?,
        };
        Ok(Self { folder, lock })
    }

    /// The ledger that was used before.
    ///
    /// # Errors
    /// When the file is damaged.
    pub(crate) fn pinned(&self) -> Result<Option<Domain>, BookError> {
        let account = read::<Account>(&self.folder.join(ACCOUNT_FILE))?;
        Ok(account.map(|account| Domain {
            chain_id: account.chain_id,
            ledger: account.ledger,
        }))
    }

    /// The books as they were left, or new ones.
    ///
    /// # Errors
    /// When they are damaged, or another wallet's, or for another ledger.
    pub(crate) fn book(
        self,
        wallet: Address,
        domain: Domain,
        price: Wei,
    ) -> Result<Book, BookError> {
        let path = self.folder.join(ACCOUNT_FILE);
        let kept = read::<Account>(&path)?;
        let account = match kept {
            Some(kept)
                if (kept.wallet, kept.chain_id, kept.ledger)
                    == (wallet, domain.chain_id, domain.ledger) =>
            {
                kept
            }
            Some(kept) => {
                return Err(BookError::Other {
                    path: path.display().to_string(),
                    wallet: kept.wallet,
                    ledger: kept.ledger,
                    chain_id: kept.chain_id,
                });
            }
            None => Account {
                wallet,
                chain_id: domain.chain_id,
                ledger: domain.ledger,
                first_price: price,
                honoured: true,
                purse: Purse::default(),
            },
        };
        let book = Book {
            folder: self.folder,
            account,
            _lock: self.lock,
        };
        book.save()?;
        Ok(book)
    }
}

impl Book {
    /// The money.
    pub(crate) fn account(&self) -> &Account {
        &self.account
    }

    /// Changes the account. The change is on the disk on return; where that fails, nothing has changed.
    ///
    /// # Errors
    /// When `change` fails, or the disk refuses.
    pub(crate) fn change<T, E: From<BookError>>(
        &mut self,
        change: impl FnOnce(&mut Account) -> Result<T, E>,
    ) -> Result<T, E> {
        let before = self.account.clone();
        let done = change(&mut self.account);
        let kept = match done {
            Ok(done) if self.account == before => return Ok(done),
            Ok(done) => self.save().map(|()| done).map_err(E::from),
            Err(error) => Err(error),
        };
        if kept.is_err() {
            self.account = before;
        }
        kept
    }

    /// Where events are remembered.
    pub(crate) fn positions(&self) -> PositionsFile {
        PositionsFile(self.folder.join(POSITIONS_FILE))
    }

    fn save(&self) -> Result<(), BookError> {
        write(&self.folder.join(ACCOUNT_FILE), &self.account)
    }
}

/// The file that remembers the last events.
#[derive(Debug, Clone)]
pub(crate) struct PositionsFile(PathBuf);

impl PositionsFile {
    /// What was handed on before. A damaged file is as good as none: events come twice then, and money is not touched.
    pub(crate) fn read(&self) -> Option<Positions> {
        read(&self.0).ok().flatten()
    }

    /// Remembers the last events.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(crate) fn write(&self, positions: &Positions) -> Result<(), BookError> {
        write(&self.0, positions)
    }
}

fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<Option<T>, BookError> {
    let Some(text) = read_if_there(path)? else {
        return Ok(None);
    };
    let read = serde_json::from_str(&text);
    read.map(Some).map_err(|error| BookError::Damaged {
        path: path.display().to_string(),
        reason: error.to_string(),
    })
}

fn write(path: &Path, value: &impl Serialize) -> Result<(), BookError> {
    let mut text = serde_json::to_vec_pretty(value).expect("structs of texts and numbers are JSON");
    text.push(b'\n');
    Ok(replace(path, &text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOMAIN: Domain = Domain {
        chain_id: 1,
        ledger: Address::new([7; 20]),
    };
    const WALLET: Address = Address::new([1; 20]);
    const FEED: FeedId = FeedId::new([3; 32]);

    fn open(state: &Path, wallet: Address, domain: Domain) -> Result<Book, BookError> {
        Shelf::open(state, FEED)?.book(wallet, domain, Wei::new(5))
    }

    #[test]
    fn what_was_changed_is_there_after_a_restart() {
        let state = tempfile::tempdir().unwrap();
        let mut book = open(state.path(), WALLET, DOMAIN).unwrap();
        book.change(|account| {
            account.honoured = false;
            Ok::<_, BookError>(())
        })
        .unwrap();
        let refused = book.change(|account| {
            account.honoured = true;
            Err::<(), _>(BookError::InUse("x".into()))
        });
        assert!(refused.is_err() && !book.account().honoured);
        drop(book);
        let shelf = Shelf::open(state.path(), FEED).unwrap();
        assert_eq!(shelf.pinned().unwrap(), Some(DOMAIN));
        let book = shelf.book(WALLET, DOMAIN, Wei::new(99)).unwrap();
        assert!(!book.account().honoured);
        assert_eq!(book.account().first_price, Wei::new(5));
    }

    #[test]
    fn the_books_of_others_are_refused() {
        let state = tempfile::tempdir().unwrap();
        drop(open(state.path(), WALLET, DOMAIN).unwrap());
        let elsewhere = Domain {
            chain_id: 2,
            ..DOMAIN
        };
        for (wallet, domain) in [(Address::new([2; 20]), DOMAIN), (WALLET, elsewhere)] {
            let refused = open(state.path(), wallet, domain);
            assert!(
                matches!(refused, Err(BookError::Other { .. })),
                "{refused:?}"
            );
        }
        let book = open(state.path(), WALLET, DOMAIN).unwrap();
        let second = open(state.path(), WALLET, DOMAIN);
        assert!(matches!(second, Err(BookError::InUse(_))), "{second:?}");
        drop(book);
        let file = state.path().join(FEED.to_string()).join(ACCOUNT_FILE);
        std::fs::write(file, "{}").unwrap();
        let damaged = open(state.path(), WALLET, DOMAIN);
        assert!(
            matches!(damaged, Err(BookError::Damaged { .. })),
            "{damaged:?}"
        );
    }

    #[test]
    fn positions_come_back_and_damage_is_none() {
        let state = tempfile::tempdir().unwrap();
        let file = open(state.path(), WALLET, DOMAIN).unwrap().positions();
        assert_eq!(file.read(), None);
        let position = Position {
            boot: 4.try_into().unwrap(),
            seq: 9.try_into().unwrap(),
        };
        let positions = Positions {
            device: DeviceId::new([5; 20]),
            last: [("detections".parse().unwrap(), position)].into(),
        };
        file.write(&positions).unwrap();
        assert_eq!(file.read(), Some(positions));
        std::fs::write(&file.0, "half").unwrap();
        assert_eq!(file.read(), None);
    }
}
