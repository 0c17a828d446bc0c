use ashya_protocol::Boot;

use super::files::{read_if_there, replace};
use super::{DataDir, DataError, unix_seconds};

/// The last boot, a decimal number.
pub(super) const BOOT_FILE: &str = "boot";

impl DataDir {
    /// The number of this start: above every earlier one, also where the clock went back. It is on disk on return.
    ///
    /// # Errors
    /// When the counter is damaged or cannot be written.
    pub fn next_boot(&self) -> Result<Boot, DataError> {
        let path = self.path.join(BOOT_FILE);
        let damaged = || DataError::Damaged {
            path: path.display().to_string(),
            expected: "a number below 2^53",
        };
        let stored = match read_if_there(&path)? {
            None => 0,
            Some(text) => text.trim().parse().map_err(|_| damaged())?,
        };
        let boot = Boot::try_from(boot_after(stored, unix_seconds())).map_err(|_| damaged())?;
        replace(&path, boot.to_string().as_bytes())?;
        Ok(boot)
    }
}

pub(super) fn boot_after(stored: u64, now: u64) -> u64 {
    now.max(stored.saturating_add(1))
}
