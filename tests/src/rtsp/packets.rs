/// Largest payload of a packet, as it fits into an Ethernet frame.
const LARGEST: usize = 1400;
/// Dynamic payload type that the session description names.
const PAYLOAD_TYPE: u8 = 96;
/// A fragment of a NAL unit (RFC 6184, section 5.8).
const FRAGMENT: u8 = 28;
/// The source of all packets.
const SOURCE: [u8; 4] = *b"eye1";

/// Numbers packets of RTP (RFC 3550) and cuts NAL units into them (RFC 6184).
#[derive(Debug, Default)]
pub(super) struct Packets {
    sequence: u16,
}

impl Packets {
    /// The packets of a frame, each as it stands in an RTSP connection (RFC 2326, section 10.12) on channel 0.
    pub(super) fn of_frame(&mut self, units: &[Vec<u8>], time: u32) -> Vec<u8> {
        let mut sent = Vec::new();
        for (index, unit) in units.iter().enumerate() {
            let is_last = index + 1 == units.len();
            let [header, body @ ..] = unit.as_slice() else {
                continue;
            };
            if unit.len() <= LARGEST {
                self.packet(&mut sent, time, is_last, &[unit]);
                continue;
            }
            let mut fragments = body.chunks(LARGEST - 2).peekable();
            let mut first = 0x80;
            while let Some(fragment) = fragments.next() {
                let ends = fragments.peek().is_none();
                let last = if ends { 0x40 } else { 0 };
                let indicator = [header & 0xe0 | FRAGMENT, first | last | header & 0x1f];
                self.packet(&mut sent, time, is_last && ends, &[&indicator, fragment]);
                first = 0;
            }
        }
        sent
    }

    fn packet(&mut self, sent: &mut Vec<u8>, time: u32, ends_frame: bool, payload: &[&[u8]]) {
        let length: usize = 12 + payload.iter().map(|part| part.len()).sum::<usize>();
        let length = u16::try_from(length).expect("a packet is small");
        sent.extend([b'$', 0]);
        sent.extend(length.to_be_bytes());
        sent.extend([0x80, PAYLOAD_TYPE | u8::from(ends_frame) << 7]);
        sent.extend(self.sequence.to_be_bytes());
        sent.extend(time.to_be_bytes());
        sent.extend(SOURCE);
        payload.iter().for_each(|part| sent.extend(*part));
        self.sequence = self.sequence.wrapping_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_unit_is_cut_and_the_last_packet_marked() {
        let long: Vec<u8> = std::iter::once(0x65)
            .chain((0..3000).map(|n| n as u8))
            .collect();
        let mut packets = Packets { sequence: u16::MAX };
        let sent = packets.of_frame(&[vec![0x67, 1, 2], long.clone()], 7);
        let mut rest = &sent[..];
        let mut found = Vec::new();
        while let [b'$', 0, high, low, packet @ ..] = rest {
            let (packet, after) = packet.split_at(usize::from(u16::from_be_bytes([*high, *low])));
            assert_eq!(packet[4..8], [0, 0, 0, 7]);
            found.push((
                packet[1] >> 7,
                u16::from_be_bytes([packet[2], packet[3]]),
                &packet[12..],
            ));
            rest = after;
        }
        let heads: Vec<_> = found
            .iter()
            .map(|(mark, number, _)| (*mark, *number))
            .collect();
        assert_eq!(heads, [(0, u16::MAX), (0, 0), (0, 1), (1, 2)]);
        assert_eq!(found[0].2, [0x67, 1, 2]);
        let starts: Vec<_> = found[1..]
            .iter()
            .map(|(_, _, payload)| &payload[..2])
            .collect();
        assert_eq!(starts, [[0x7c, 0x85], [0x7c, 0x05], [0x7c, 0x45]]);
        let body: Vec<u8> = found[1..]
            .iter()
            .flat_map(|(_, _, payload)| &payload[2..])
            .copied()
            .collect();
        assert_eq!(body, long[1..]);
    }
}
