use ashya_protocol::StreamName;
use ashya_protocol::rest::Registration;

use super::boot::boot_after;
use super::files::{read_if_there, replace, to_json};
use super::{DataDir, DataError, unix_seconds};

/// The last registration document.
pub(super) const REGISTRATION_FILE: &str = "registration.json";

impl DataDir {
    /// The streams that the device has registered before, as far as that can be read.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn registered_streams(&self) -> Result<Vec<StreamName>, DataError> {
        let text = read_if_there(&self.path.join(REGISTRATION_FILE))?;
        let last: Option<Registration> = text.and_then(|text| serde_json::from_str(&text).ok());
        Ok(last.map(|last| last.streams).unwrap_or_default())
    }

    /// Gives a registration document its revision: the last one where nothing changed, else a higher one.
    ///
    /// # Errors
    /// When the last one cannot be read or this one not written.
    pub fn revise(&self, document: Registration) -> Result<Registration, DataError> {
        let path = self.path.join(REGISTRATION_FILE);
        let last: Option<Registration> =
            read_if_there(&path)?.and_then(|text| serde_json::from_str(&text).ok());
        let revision = revision_after(last.as_ref(), &document, unix_seconds());
        let document = Registration {
            revision,
            ..document
        };
        if last.as_ref() != Some(&document) {
            replace(&path, &to_json(&document))?;
        }
        Ok(document)
    }
}

/// Unix seconds, so that a device whose folder was lost still outranks its older documents.
fn revision_after(last: Option<&Registration>, next: &Registration, now: u64) -> u64 {
    match last {
        None => now,
        Some(last) => {
            let unchanged = Registration {
                revision: last.revision,
                ..next.clone()
            } == *last;
            if unchanged {
                last.revision
            } else {
                boot_after(last.revision, now)
            }
        }
    }
}
