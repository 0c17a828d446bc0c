//! The broker's reader takes the same packets from the same bytes however they are cut, and none above its limit.
#![no_main]

use ashya_gateway::mqtt_wire::{Incoming, Wire, WireError};
use libfuzzer_sys::fuzz_target;

/// As the broker has it before the login, and about as after it; small, so that a short input can pass it.
const LIMITS: [u32; 2] = [1_024, 2_048];

fuzz_target!(|bytes: &[u8]| {
    let Some((&step, bytes)) = bytes.split_first() else {
        return;
    };
    let whole = read(bytes, bytes.len().max(1));
    let cut = read(bytes, usize::from(step) + 1);
    assert_eq!(whole, cut);
});

/// What comes out of bytes that arrive so many at a time: packets, and the error that ends them.
fn read(bytes: &[u8], step: usize) -> (Vec<Incoming>, Option<WireError>) {
    let mut wire = Wire::new(LIMITS[0]);
    let mut packets = Vec::new();
    for part in bytes.chunks(step) {
        wire.feed(part);
        loop {
            match wire.next_packet() {
                Ok(Some(packet)) => {
                    if let Incoming::Publish(publish) = &packet {
                        assert!(publish.payload.len() <= LIMITS[1] as usize);
                    }
                    if packets.is_empty() {
                        wire.raise_limit(LIMITS[1]);
                    }
                    packets.push(packet);
                }
                Ok(None) => break,
                Err(error) => return (packets, Some(error)),
            }
        }
    }
    (packets, None)
}
