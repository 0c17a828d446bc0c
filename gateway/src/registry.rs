//! The devices that have registered: what each says of itself, signed.

mod blocked;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use ashya_protocol::rest::{Registration, RegistrationError, SignedRegistration};
use ashya_protocol::{Address, DeviceId, Domain, VerifyError};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::time::Instant;

use crate::chain_clock::wall_clock;
use crate::defaults::CLAIM_GRACE;
use crate::registration_policy::RegistrationPolicy;
use crate::store::{Store, StoreError};

pub use blocked::Blocklist;
pub(crate) use blocked::Leash;

/// Registration documents over the store. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Registry {
    domain: Domain,
    capacity: usize,
    store: Store,
    policy: Arc<RegistrationPolicy>,
    blocked: Blocklist,
    loaded_at: Instant,
    entries: Arc<RwLock<BTreeMap<DeviceId, Entry>>>,
}

/// What the registry knows of one device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Entry {
    Registered {
        signed: SignedRegistration,
        /// Unix second at which the device first came.
        at: u64,
    },
    /// Taken off by its owner. Only a later revision brings it back, so that nobody can replay an old document.
    Removed(u64),
}

/// How a registration changed the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registered {
    /// A device that was not there before.
    New,
    /// A later revision of a known device.
    Updated,
    /// The very document that is there already.
    Unchanged,
}

/// Why a registration is refused.
#[derive(Debug, Error)]
pub enum RegistryError {
    /// A field breaks a limit.
    #[error(transparent)]
    Limit(#[from] RegistrationError),
    /// The device did not sign it.
    #[error("the registration is not signed by its device")]
    Signature(#[source] VerifyError),
    /// There is the same or a later revision.
    #[error("revision {found} is not above {current}")]
    Revision {
        /// The revision of the registry.
        current: u64,
        /// The one offered.
        found: u64,
    },
    /// There is no room for a device that was not there before.
    #[error("this gateway takes {0} devices and has them all, for now")]
    Full(usize),
    /// The operator takes only devices and owners that are listed.
    #[error("this gateway takes listed devices and owners only")]
    NotListed,
    /// The operator has shut the device out.
    #[error("device {0} is blocked on this gateway")]
    Blocked(DeviceId),
    /// No such device.
    #[error("device {0} is not registered")]
    Unknown(DeviceId),
    /// The store failed.
    #[error("the registry cannot be written")]
    Store(#[from] StoreError),
}

impl Registry {
    /// Reads the registry of a store; signatures are for `domain`. It takes `capacity` devices at most, those that were
    /// taken off included: their revisions are remembered until another device needs the place.
    ///
    /// # Errors
    /// When the store fails.
    pub fn load(store: Store, domain: Domain, capacity: usize) -> Result<Self, StoreError> {
        let records = store.devices.load::<Entry>()?.into_iter();
        let entries = records
            .map(|(key, entry)| {
                let id: [u8; 20] = key.try_into().map_err(|_| StoreError::Key)?;
                Ok((DeviceId::new(id), entry))
            })
            .collect::<Result<_, StoreError>>()?;
        Ok(Self {
            domain,
            capacity,
            policy: Arc::default(),
            blocked: Blocklist::load(store.clone())?,
            loaded_at: Instant::now(),
            store,
            entries: Arc::new(RwLock::new(entries)),
        })
    }

    /// The same, for those that `policy` admits.
    #[must_use]
    pub fn with_policy(self, policy: RegistrationPolicy) -> Self {
        Self {
            policy: Arc::new(policy),
            ..self
        }
    }

    /// The devices that are shut out.
    pub fn blocked(&self) -> &Blocklist {
        &self.blocked
    }

    /// What a device says of itself; nothing while it is blocked, or no longer listed.
    pub fn device(&self, device: DeviceId) -> Option<Registration> {
        if self.blocked.is_blocked(device) {
            return None;
        }
        let entries = self.entries.read();
        self.listed(entries.get(&device)?).cloned()
    }

    /// Whether the operator lets this owner sell this device here.
    pub(crate) fn may_sell(&self, owner: Address, device: DeviceId) -> bool {
        self.policy.admits(owner, device)
    }

    fn listed<'a>(&self, entry: &'a Entry) -> Option<&'a Registration> {
        match entry {
            Entry::Registered { signed, .. } => Some(&signed.registration)
                .filter(|known| self.policy.admits(known.owner, known.device)),
            Entry::Removed(_) => None,
        }
    }

    /// Every registered device, in the order of their ids.
    pub fn devices(&self) -> Vec<Registration> {
        self.devices_after(None, usize::MAX)
    }

    /// The first `count` of [`Self::devices`] whose ids are above `after`.
    pub(crate) fn devices_after(&self, after: Option<DeviceId>, count: usize) -> Vec<Registration> {
        let blocked = self.blocked.all();
        let blocked: BTreeSet<_> = blocked.into_iter().map(|(device, _)| device).collect();
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let entries = self.entries.read();
        let rest = entries.range((start, Bound::Unbounded));
        let open = rest.filter(|(device, _)| !blocked.contains(device));
        let listed = open.filter_map(|(_, entry)| self.listed(entry));
        listed.take(count).cloned().collect()
    }

    /// Takes a device's word. It is on the disk when this returns.
    ///
    /// # Errors
    /// When it breaks a limit, is not signed by the device, is not above the revision that is there, or there is no
    /// room for one more device.
    pub async fn register(&self, signed: SignedRegistration) -> Result<Registered, RegistryError> {
        self.take(signed, |_, _| None, |_| {}).await
    }

    /// As [`Self::register`]; when there is no room, another device goes: one that was taken off, or one that `may_go`
    /// and is shut out or has had time to offer something. `forget` is told of it at once, whatever becomes of the rest.
    pub(crate) async fn register_instead(
        &self,
        signed: SignedRegistration,
        may_go: impl Fn(&Registration) -> bool,
        forget: impl Fn(DeviceId),
    ) -> Result<Registered, RegistryError> {
        let who_goes = |entries: &BTreeMap<_, _>, now| {
            removed(entries)
                .or_else(|| self.shut_out(entries, &may_go))
                .or_else(|| self.idle_claim(entries, now, &may_go))
        };
        self.take(signed, who_goes, forget).await
    }

    async fn take(
        &self,
        signed: SignedRegistration,
        who_goes: impl Fn(&BTreeMap<DeviceId, Entry>, u64) -> Option<DeviceId>,
        forget: impl Fn(DeviceId),
    ) -> Result<Registered, RegistryError> {
        let registration = &signed.registration;
        registration.check()?;
        check_signature(&signed, &self.domain)?;
        let device = registration.device;
        if self.blocked.is_blocked(device) {
            return Err(RegistryError::Blocked(device));
        }
        if !self.policy.admits(registration.owner, device) {
            return Err(RegistryError::NotListed);
        }
        let now = wall_clock().as_secs();
        let outcome = {
            let mut entries = self.entries.write();
            let outcome = compare(entries.get(&device), &signed)?;
            if !entries.contains_key(&device) && entries.len() >= self.capacity {
                let goes = who_goes(&entries, now);
                let goes = goes.ok_or(RegistryError::Full(self.capacity))?;
                self.store.devices.remove(goes.as_bytes())?;
                entries.remove(&goes);
                forget(goes);
                tracing::info!(device.id = %goes, "a device that is off, blocked or sells nothing makes room");
            }
            if outcome != Registered::Unchanged {
                let at = match entries.get(&device) {
                    Some(Entry::Registered { at, .. }) => *at,
                    _ => now,
                };
                let entry = Entry::Registered { signed, at };
                self.store.devices.put(device.as_bytes(), &entry)?;
                entries.insert(device, entry);
            }
            outcome
        };
        self.store.flush().await?;
        Ok(outcome)
    }

    /// A device that the operator has shut out and that may go. It stays shut out without its entry.
    fn shut_out(
        &self,
        entries: &BTreeMap<DeviceId, Entry>,
        may_go: impl Fn(&Registration) -> bool,
    ) -> Option<DeviceId> {
        let mut blocked = self.blocked.all().into_iter().map(|(device, _)| device);
        blocked.find(|device| {
            matches!(entries.get(device), Some(Entry::Registered { signed, .. }) if may_go(&signed.registration))
        })
    }

    /// The device that has been there longest of those that have had time to offer something and may go. After a start
    /// all of them get that time, to come back.
    fn idle_claim(
        &self,
        entries: &BTreeMap<DeviceId, Entry>,
        now: u64,
        may_go: impl Fn(&Registration) -> bool,
    ) -> Option<DeviceId> {
        if self.loaded_at.elapsed() < CLAIM_GRACE {
            return None;
        }
        let newest = now.saturating_sub(CLAIM_GRACE.as_secs());
        let idle = entries.iter().filter_map(|(device, entry)| match entry {
            Entry::Registered { signed, at } if *at <= newest && may_go(&signed.registration) => {
                Some((*at, *device))
            }
            _ => None,
        });
        idle.min().map(|(_, device)| device)
    }

    /// Takes a device off. It may come back with a later revision.
    ///
    /// # Errors
    /// When it is not there.
    pub async fn remove(&self, device: DeviceId) -> Result<(), RegistryError> {
        {
            let mut entries = self.entries.write();
            let Some(Entry::Registered { signed, .. }) = entries.get(&device) else {
                return Err(RegistryError::Unknown(device));
            };
            let entry = Entry::Removed(signed.registration.revision);
            self.store.devices.put(device.as_bytes(), &entry)?;
            entries.insert(device, entry);
        }
        self.store.flush().await?;
        Ok(())
    }
}

fn check_signature(signed: &SignedRegistration, domain: &Domain) -> Result<(), RegistryError> {
    let device = signed.registration.device;
    let digest = domain.device_registration(&signed.registration);
    let recovered = signed.signature.recover(&digest);
    let signer = recovered.map_err(|error| RegistryError::Signature(error.into()))?;
    if signer != device.address() {
        return Err(RegistryError::Signature(VerifyError::Signer {
            device,
            signer,
        }));
    }
    Ok(())
}

/// A device that was taken off. That its old documents are no longer refused weighs less than a registry that anybody can
/// fill for ever.
fn removed(entries: &BTreeMap<DeviceId, Entry>) -> Option<DeviceId> {
    let mut removed = entries
        .iter()
        .filter(|(_, entry)| matches!(entry, Entry::Removed(_)));
    removed.next().map(|(device, _)| *device)
}

/// The highest revision wins, the same document again changes nothing, anything else is refused.
fn compare(
    known: Option<&Entry>,
    offered: &SignedRegistration,
) -> Result<Registered, RegistryError> {
    let found = offered.registration.revision;
    let (current, outcome) = match known {
        None => return Ok(Registered::New),
        Some(Entry::Registered { signed, .. }) if signed.registration == offered.registration => {
            return Ok(Registered::Unchanged);
        }
        Some(Entry::Registered { signed, .. }) => {
            (signed.registration.revision, Registered::Updated)
        }
        Some(Entry::Removed(revision)) => (*revision, Registered::New),
    };
    if found > current {
        Ok(outcome)
    } else {
        Err(RegistryError::Revision { current, found })
    }
}

#[cfg(test)]
mod tests;
