use ashya_protocol::{Address, Domain};
use serde::{Deserialize, Serialize};

use super::files::{read_if_there, replace, to_json};
use super::{DataDir, DataError};

/// The chain and ledger that this device speaks for.
const LEDGER_FILE: &str = "ledger.json";

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PinnedLedger {
    chain_id: u64,
    ledger: Address,
}

impl DataDir {
    /// The ledger that this device signs for; none before it has met its first gateway.
    ///
    /// # Errors
    /// When what is kept of it cannot be read.
    pub fn pinned_ledger(&self) -> Result<Option<Domain>, DataError> {
        let path = self.path.join(LEDGER_FILE);
        let Some(text) = read_if_there(&path)? else {
            return Ok(None);
        };
        let pinned: PinnedLedger = serde_json::from_str(&text).map_err(|_| DataError::Damaged {
            path: path.display().to_string(),
            expected: "a chain id and a ledger as JSON",
        })?;
        Ok(Some(Domain {
            chain_id: pinned.chain_id,
            ledger: pinned.ledger,
        }))
    }

    /// Remembers the ledger that this device signs for, and refuses another one later.
    ///
    /// # Errors
    /// When it is another one than before.
    pub fn pin_ledger(&self, domain: Domain) -> Result<(), DataError> {
        let path = self.path.join(LEDGER_FILE);
        let Some(pinned) = self.pinned_ledger()? else {
            let pinned = PinnedLedger {
                chain_id: domain.chain_id,
                ledger: domain.ledger,
            };
            return replace(&path, &to_json(&pinned));
        };
        if pinned == domain {
            return Ok(());
        }
        Err(DataError::OtherLedger {
            offered: domain.ledger.to_string(),
            offered_chain: domain.chain_id,
            pinned: pinned.ledger.to_string(),
            pinned_chain: pinned.chain_id,
            path: path.display().to_string(),
        })
    }
}
