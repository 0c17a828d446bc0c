//! A control message of the websocket that is accepted means the same after it is written anew, on both sides.
#![no_main]

use std::fmt::Debug;

use ashya_protocol::ws::{ClientMessage, ServerMessage};
use ashya_protocol::{Demand, Notice};
use libfuzzer_sys::fuzz_target;
use serde_json::{from_slice, to_vec};

fuzz_target!(|bytes: &[u8]| {
    survives::<ClientMessage>(bytes);
    survives::<ServerMessage>(bytes);
    // What a device hears on its own topics.
    survives::<Demand>(bytes);
    survives::<Notice>(bytes);
});

fn survives<M>(bytes: &[u8])
where
    M: serde::Serialize + serde::de::DeserializeOwned + Debug + PartialEq,
{
    if let Ok(message) = from_slice::<M>(bytes) {
        let written = to_vec(&message).expect("what was read can be written");
        let again: M = from_slice(&written).expect("what was written can be read");
        assert_eq!(again, message);
    }
}
