use ashya_protocol::{Address, DeviceKey};
use parking_lot::Mutex;

use super::*;

const DOMAIN: Domain = Domain {
    chain_id: 31_337,
    ledger: Address::new([9; 20]),
};

fn key() -> DeviceKey {
    DeviceKey::from_bytes([7; 32]).unwrap()
}

fn signed(revision: u64, title: &str) -> SignedRegistration {
    signed_by(&key(), revision, title)
}

fn signed_by(key: &DeviceKey, revision: u64, title: &str) -> SignedRegistration {
    let registration = Registration {
        device: key.device_id(),
        owner: Address::new([1; 20]),
        revision,
        title: title.into(),
        description: String::new(),
        streams: vec!["detections".parse().unwrap()],
    };
    let signature = key.sign(&DOMAIN.device_registration(&registration));
    SignedRegistration {
        registration,
        signature,
    }
}

fn open(folder: &tempfile::TempDir) -> Registry {
    let store = Store::reopen(&folder.path().join("store"));
    Registry::load(store, DOMAIN, 2).unwrap()
}

#[tokio::test]
async fn the_highest_revision_wins() {
    let folder = tempfile::tempdir().unwrap();
    let registry = open(&folder);
    for (revision, title, outcome) in [
        (3, "Gate", Ok(Registered::New)),
        (3, "Gate", Ok(Registered::Unchanged)),
        (3, "Other", Err((3, 3))),
        (2, "Gate", Err((3, 2))),
        (4, "Door", Ok(Registered::Updated)),
        (3, "Gate", Err((4, 3))),
    ] {
        let found = registry.register(signed(revision, title)).await;
        let found = found.map_err(|error| match error {
            RegistryError::Revision { current, found } => (current, found),
            other => panic!("{other}"),
        });
        assert_eq!(found, outcome, "{revision} {title}");
    }
    assert_eq!(registry.device(key().device_id()).unwrap().title, "Door");
    assert_eq!(registry.devices().len(), 1);
}

#[tokio::test]
async fn a_removed_device_comes_back_only_with_a_later_revision() {
    let folder = tempfile::tempdir().unwrap();
    let device = key().device_id();
    {
        let registry = open(&folder);
        assert!(matches!(
            registry.remove(device).await,
            Err(RegistryError::Unknown(_))
        ));
        registry.register(signed(5, "Gate")).await.unwrap();
        registry.remove(device).await.unwrap();
        assert_eq!(registry.device(device), None);
        assert!(registry.devices().is_empty());
    }
    let registry = open(&folder);
    let replayed = registry.register(signed(5, "Gate")).await;
    assert!(matches!(
        replayed,
        Err(RegistryError::Revision {
            current: 5,
            found: 5
        })
    ));
    assert_eq!(
        registry.register(signed(6, "Gate")).await.unwrap(),
        Registered::New
    );
    assert!(registry.device(device).is_some());
}

#[tokio::test]
async fn only_the_device_speaks_for_itself() {
    let folder = tempfile::tempdir().unwrap();
    let registry = open(&folder);
    let mut tampered = signed(1, "Gate");
    tampered.registration.owner = Address::new([2; 20]);
    let mut foreign = signed(1, "Gate");
    foreign.registration.device = DeviceId::new([3; 20]);
    let mut empty = signed(1, "");
    empty.registration.title.clear();
    for refused in [tampered, foreign] {
        let outcome = registry.register(refused).await;
        assert!(matches!(outcome, Err(RegistryError::Signature(_))));
    }
    assert!(matches!(
        registry.register(empty).await,
        Err(RegistryError::Limit(_))
    ));
    assert!(registry.devices().is_empty());
}

#[tokio::test]
async fn a_full_registry_takes_no_new_device_but_later_words_of_known_ones() {
    let folder = tempfile::tempdir().unwrap();
    let registry = open(&folder);
    let key = |byte| DeviceKey::from_bytes([byte; 32]).unwrap();
    for byte in [1, 2] {
        let device = signed_by(&key(byte), 1, "Gate");
        registry.register(device).await.unwrap();
    }
    let full = registry.register(signed_by(&key(3), 1, "Gate")).await;
    assert!(matches!(full, Err(RegistryError::Full(2))));
    registry.remove(key(2).device_id()).await.unwrap();
    let full = registry.register(signed_by(&key(3), 1, "Gate")).await;
    assert!(matches!(full, Err(RegistryError::Full(2))));
    for (byte, revision, expected) in [
        (1, 2, Some(Registered::Updated)),
        // One that was taken off makes room, and finds none itself.
        (3, 1, Some(Registered::New)),
        (2, 2, None),
    ] {
        let signed = signed_by(&key(byte), revision, "Gate");
        let outcome = registry.register_instead(signed, |_| false, |_| {}).await;
        match (outcome, expected) {
            (Ok(outcome), Some(expected)) => assert_eq!(outcome, expected, "{byte}"),
            (Err(RegistryError::Full(2)), None) => {}
            (outcome, _) => panic!("{byte}: {outcome:?}"),
        }
    }
    assert!(registry.device(key(2).device_id()).is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn only_listed_and_unblocked_devices_register() {
    let folder = tempfile::tempdir().unwrap();
    let (key, other) = (key(), DeviceKey::from_bytes([8; 32]).unwrap());
    let devices = [key.device_id()].into();
    let owners = Default::default();
    let registry = open(&folder).with_policy(RegistrationPolicy::Listed { owners, devices });
    registry.register(signed(1, "Gate")).await.unwrap();
    let refused = registry.register(signed_by(&other, 1, "Gate")).await;
    assert!(matches!(refused, Err(RegistryError::NotListed)));
    let owners = [Address::new([2; 20])].into();
    let devices = Default::default();
    let registry = registry.with_policy(RegistrationPolicy::Listed { owners, devices });
    assert_eq!(registry.device(key.device_id()), None, "no longer listed");
    assert!(registry.devices().is_empty());
    let [listed, stranger] = [2, 3].map(|byte| Address::new([byte; 20]));
    assert!(registry.may_sell(listed, other.device_id()));
    assert!(!registry.may_sell(stranger, other.device_id()));
    let owners = [Address::new([1; 20])].into();
    let devices = Default::default();
    let registry = registry.with_policy(RegistrationPolicy::Listed { owners, devices });
    registry
        .register(signed_by(&other, 1, "Gate"))
        .await
        .unwrap();
    let blocked = registry.blocked();
    tokio::task::block_in_place(|| blocked.block(other.device_id())).unwrap();
    assert_eq!(registry.device(other.device_id()), None);
    assert_eq!(registry.devices().len(), 1);
    let refused = registry.register(signed_by(&other, 2, "Gate")).await;
    assert!(matches!(refused, Err(RegistryError::Blocked(_))));
    tokio::task::block_in_place(|| blocked.unblock(other.device_id())).unwrap();
    assert_eq!(registry.devices().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_claim_or_a_blocked_device_makes_room() {
    let folder = tempfile::tempdir().unwrap();
    let mut registry = open(&folder);
    let keys = [1, 2, 3].map(|byte| DeviceKey::from_bytes([byte; 32]).unwrap());
    for key in &keys[..2] {
        registry.register(signed_by(key, 1, "Gate")).await.unwrap();
    }
    let third = || signed_by(&keys[2], 1, "Gate");
    let went = Mutex::new(Vec::new());
    let note = |device| went.lock().push(device);
    let full = registry.register_instead(third(), |_| true, note).await;
    assert!(matches!(full, Err(RegistryError::Full(2))), "both are new");
    let old = wall_clock().as_secs() - CLAIM_GRACE.as_secs();
    for (number, entry) in registry.entries.write().values_mut().enumerate() {
        if let Entry::Registered { at, .. } = entry {
            *at = old - number as u64;
        }
    }
    let full = registry.register_instead(third(), |_| true, note).await;
    assert!(matches!(full, Err(RegistryError::Full(2))), "after a start");
    registry.loaded_at -= CLAIM_GRACE;
    let full = registry.register_instead(third(), |_| false, note).await;
    assert!(matches!(full, Err(RegistryError::Full(2))), "both are kept");
    let [kept, goes] = [0, 1].map(|index: usize| keys[index].device_id());
    let may_go = |one: &Registration| one.device != kept;
    let outcome = registry.register_instead(third(), may_go, note).await;
    assert_eq!(outcome.unwrap(), Registered::New);
    assert_eq!(*went.lock(), [goes]);
    assert!(registry.device(kept).is_some() && registry.device(goes).is_none());

    // Who is shut out needs no time, and stays shut out.
    let third = keys[2].device_id();
    tokio::task::block_in_place(|| registry.blocked().block(third)).unwrap();
    registry.loaded_at = Instant::now();
    let back = signed_by(&keys[1], 1, "Gate");
    registry
        .register_instead(back, |_| true, note)
        .await
        .unwrap();
    assert_eq!(*went.lock(), [goes, third]);
    assert!(registry.blocked().is_blocked(third));
}
