//! An envelope that is accepted has one form: encoding it gives back the bytes that were read.
#![no_main]

use ashya_protocol::{Address, Domain, Envelope};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(envelope) = Envelope::decode(bytes) else {
        return;
    };
    assert_eq!(envelope.encode().as_deref(), Ok(bytes));
    let device = envelope.event.device;
    let domain = Domain {
        chain_id: 31_337,
        ledger: Address::new([0x5a; 20]),
    };
    // Whatever the signature is, it never makes the event another one.
    if let Ok(verified) = envelope.clone().verify(&domain) {
        assert_eq!(*verified.event(), envelope.event);
        assert_eq!(verified.event().device, device);
    }
});
