use bytes::{BufMut, Bytes, BytesMut};

/// Opcode of a text message.
pub(super) const TEXT: u8 = 1;
/// Opcode of a binary message.
pub(super) const BINARY: u8 = 2;

/// One unfragmented, unmasked websocket frame, as servers send it (RFC 6455, section 5.2).
pub(crate) fn framed(opcode: u8, payload: &[u8]) -> Bytes {
    const FINAL: u8 = 0x80;
    let mut frame = BytesMut::with_capacity(10 + payload.len());
    frame.put_u8(FINAL | opcode);
    match payload.len() {
        short @ 0..126 => frame.put_u8(short as u8),
        middle @ 126..0x1_0000 => {
            frame.put_u8(126);
            frame.put_u16(middle as u16);
        }
        long => {
            frame.put_u8(127);
            frame.put_u64(long as u64);
        }
    }
    frame.put_slice(payload);
    frame.freeze()
}

/// The payload within a frame of [`framed`].
pub(super) fn payload(frame: &Bytes) -> Bytes {
    let head = match frame.get(1) {
        Some(126) => 4,
        Some(127) => 10,
        _ => 2,
    };
    frame.slice(head.min(frame.len())..)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use tokio_tungstenite::tungstenite::protocol::frame::FrameSocket;

    use super::*;

    #[test]
    fn another_implementation_reads_every_length() {
        for length in [0, 1, 125, 126, 127, 65_535, 65_536, 70_000] {
            let content = vec![7; length];
            let frame = framed(BINARY, &content);
            assert_eq!(payload(&frame), content, "{length}");
            let mut reader = FrameSocket::new(Cursor::new(frame.to_vec()));
            let read = reader.read(None).unwrap().unwrap();
            assert!(
                read.header().is_final && read.header().mask.is_none(),
                "{length}"
            );
            assert_eq!(u8::from(read.header().opcode), BINARY, "{length}");
            assert_eq!(read.payload(), content, "{length}");
        }
    }
}
