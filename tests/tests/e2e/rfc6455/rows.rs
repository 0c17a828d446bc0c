//! The rows, by section: what is sent, and what RFC 6455 asks of a server with this gateway's rules.

use Opcode::{Binary, Close, Continuation, Ping, Pong, Reserved, Text};
use ashya_protocol::limits::MAX_CLIENT_MESSAGE_BYTES;
use ashya_tests::{Opcode, frame, frame_of, head_of, part};

/// The gateway's code for a broken protocol.
const BROKEN: Expected = Expected::Closes(Some(4000));
/// RFC 6455, section 7.4.1.
const PROTOCOL_ERROR: Expected = Expected::Closes(Some(1002));
/// What surrounds the name of an unknown type in a text.
const AROUND: usize = r#"{"type":""}"#.len();

/// What is sent on a signed-in socket, and what must come of it.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
    pub(super) expected: Expected,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Expected {
    /// The socket goes on; each text is answered with one that holds this, each ping with its pong.
    Stays {
        echoes: Vec<String>,
        pongs: Vec<Vec<u8>>,
    },
    /// The gateway says goodbye with this code, or with none, and closes.
    Closes(Option<u16>),
    /// The gateway closes, and may still get a goodbye through.
    Refused,
}

pub(super) fn all() -> Vec<Row> {
    let mut rows = framing();
    rows.extend(pings());
    rows.extend(reserved());
    rows.extend(fragments());
    rows.extend(unicode());
    rows.extend(goodbyes());
    rows.extend(limits());
    rows
}

fn row(name: impl Into<String>, frames: &[Vec<u8>], expected: Expected) -> Row {
    Row {
        name: name.into(),
        bytes: frames.concat(),
        expected,
    }
}

/// The socket goes on after texts of these unknown types.
fn echoes(names: &[&str]) -> Expected {
    stays(names, &[])
}

fn stays(names: &[&str], pongs: &[&[u8]]) -> Expected {
    Expected::Stays {
        echoes: names.iter().map(|name| format!("`{name}`")).collect(),
        pongs: pongs.iter().map(|pong| pong.to_vec()).collect(),
    }
}

/// A control message of an unknown type.
fn typed(name: &str) -> Vec<u8> {
    format!(r#"{{"type":"{name}"}}"#).into_bytes()
}

/// 1: sizes.
fn framing() -> Vec<Row> {
    let mut rows = vec![
        row("1.1.1 text of 0", &[frame(Text, b"")], stays_malformed()),
        row("1.2.1 bytes of 0", &[frame(Binary, b"")], BROKEN),
    ];
    for size in [16, 125, 126, 127, 128, 1_000, MAX_CLIENT_MESSAGE_BYTES] {
        let name = "x".repeat(size - AROUND);
        let text = frame(Text, &typed(&name));
        rows.push(row(
            format!("1.1 text of {size}"),
            &[text],
            echoes(&[&name]),
        ));
        let bytes = frame(Binary, &vec![0xfe; size]);
        rows.push(row(format!("1.2 bytes of {size}"), &[bytes], BROKEN));
    }
    for size in [MAX_CLIENT_MESSAGE_BYTES + 1, 65_535, 65_536, 1 << 20] {
        let text = frame(Text, &vec![b'x'; size]);
        rows.push(row(
            format!("1.1 text of {size}"),
            &[text],
            Expected::Refused,
        ));
        let bytes = frame(Binary, &vec![0xfe; size]);
        rows.push(row(
            format!("1.2 bytes of {size}"),
            &[bytes],
            Expected::Refused,
        ));
    }
    let unmasked = [&[0x81, 2][..], b"{}"].concat();
    rows.push(row(
        "5.1 of the RFC, a frame without a mask",
        &[unmasked],
        BROKEN,
    ));
    rows
}

/// A text that is no message at all.
fn stays_malformed() -> Expected {
    Expected::Stays {
        echoes: vec![r#""code":"malformed""#.into()],
        pongs: Vec::new(),
    }
}

/// 2: pings and pongs.
fn pings() -> Vec<Row> {
    let long = vec![0xfe; 125];
    let ten: Vec<Vec<u8>> = (0..10)
        .map(|number| format!("ping {number}").into_bytes())
        .collect();
    let ten: Vec<&[u8]> = ten.iter().map(Vec::as_slice).collect();
    let ping = |payload: &[u8]| row_of_pings("2", &[payload]);
    vec![
        ping(b""),
        ping(b"Hello, world!"),
        ping(&[0, 0xff, 0xfe, 0xfd, 0xfc, 0xfb, 0, 0xff]),
        ping(&long),
        row("2.5 ping of 126", &[frame(Ping, &[0xfe; 126])], BROKEN),
        row("2.7 pong unasked", &[frame(Pong, b"")], echoes(&[])),
        row(
            "2.8 pong unasked, with a payload",
            &[frame(Pong, b"unsolicited")],
            echoes(&[]),
        ),
        row(
            "2.9 pong unasked, then a ping",
            &[frame(Pong, b"unsolicited"), frame(Ping, b"ping")],
            stays(&[], &[b"ping"]),
        ),
        row("2 pong of 126", &[frame(Pong, &[0xfe; 126])], BROKEN),
        row_of_pings("2.10", &ten),
    ]
}

fn row_of_pings(section: &str, payloads: &[&[u8]]) -> Row {
    let frames: Vec<_> = payloads
        .iter()
        .map(|payload| frame(Ping, payload))
        .collect();
    let name = format!(
        "{section} {} pings, the first of {}",
        payloads.len(),
        payloads[0].len()
    );
    row(name, &frames, stays(&[], payloads))
}

/// 3 and 4: reserved bits and opcodes.
fn reserved() -> Vec<Row> {
    let mut rows = Vec::new();
    for bits in 1..=7_u8 {
        for opcode in [Text, Binary, Close, Ping, Pong] {
            let first = 0x80 | bits << 4 | opcode.bits();
            let name = format!("3 reserved bits {bits:03b}, {opcode:?}");
            rows.push(row(name, &[frame_of(first, b"x")], BROKEN));
        }
        let frames = [
            frame(Ping, b"a"),
            frame_of(0x80 | bits << 4 | Ping.bits(), b"b"),
        ];
        rows.push(row(
            format!("3 a ping, then reserved bits {bits:03b}"),
            &frames,
            BROKEN,
        ));
    }
    for bits in (3..=7).chain(11..=15) {
        for payload in [&b""[..], b"reserved"] {
            let name = format!("4 opcode {bits}, payload of {}", payload.len());
            rows.push(row(name, &[frame(Reserved(bits), payload)], BROKEN));
        }
        let name = format!("4 opcode {bits} within a message");
        let frames = [
            part(Text, b"a"),
            frame(Reserved(bits), b""),
            frame(Continuation, b"b"),
        ];
        rows.push(row(name, &frames, BROKEN));
    }
    rows
}

/// 5: fragments.
fn fragments() -> Vec<Row> {
    let text = typed("fragment");
    let (a, b) = text.split_at(12);
    let (b, c) = b.split_at(3);
    let echo = || echoes(&["fragment"]);
    vec![
        row(
            "5.1 a fragmented ping",
            &[part(Ping, b"a"), frame(Continuation, b"b")],
            BROKEN,
        ),
        row(
            "5.2 a fragmented pong",
            &[part(Pong, b"a"), frame(Continuation, b"b")],
            BROKEN,
        ),
        row(
            "5.3 two fragments",
            &[part(Text, a), frame(Continuation, &text[12..])],
            echo(),
        ),
        row(
            "5.5 three fragments",
            &[part(Text, a), part(Continuation, b), frame(Continuation, c)],
            echo(),
        ),
        row(
            "5.6 a ping between two fragments",
            &[
                part(Text, a),
                frame(Ping, b"mid"),
                frame(Continuation, &text[12..]),
            ],
            stays(&["fragment"], &[b"mid"]),
        ),
        row(
            "5 empty fragments",
            &[
                part(Text, b""),
                part(Continuation, &text),
                frame(Continuation, b""),
            ],
            echo(),
        ),
        row(
            "5.9 a continuation of nothing",
            &[frame(Continuation, b"x")],
            BROKEN,
        ),
        row(
            "5.10 an unfinished continuation of nothing",
            &[part(Continuation, b"x")],
            BROKEN,
        ),
        row(
            "5.12 a continuation after a whole message",
            &[frame(Continuation, b"x"), frame(Text, &text)],
            BROKEN,
        ),
        row(
            "5.15 a continuation after two fragments",
            &[
                part(Binary, b"a"),
                frame(Continuation, b"b"),
                frame(Continuation, b"c"),
            ],
            BROKEN,
        ),
        row(
            "5.18 a text within a text",
            &[part(Text, a), frame(Text, &text)],
            BROKEN,
        ),
        row(
            "5.18 bytes within a text",
            &[part(Text, a), frame(Binary, b"x")],
            BROKEN,
        ),
        row(
            "5.19 pings between many fragments",
            &[
                part(Text, a),
                part(Continuation, b""),
                frame(Ping, b"one"),
                part(Continuation, b),
                frame(Ping, b"two"),
                frame(Continuation, c),
            ],
            stays(&["fragment"], &[b"one", b"two"]),
        ),
        row(
            "5 fragmented bytes",
            &[part(Binary, b"a"), frame(Continuation, b"b")],
            BROKEN,
        ),
        row(
            "5 two messages in fragments",
            &[
                part(Text, a),
                frame(Continuation, &text[12..]),
                part(Text, a),
                frame(Continuation, &text[12..]),
            ],
            echoes(&["fragment", "fragment"]),
        ),
    ]
}

/// 6: UTF-8.
fn unicode() -> Vec<Row> {
    let mut rows = Vec::new();
    for name in [
        "Hello-µ@ßöäüàá-UTF-8!!",
        "κόσμε",
        "\u{80}",
        "\u{7ff}",
        "\u{800}",
        "\u{d7ff}",
        "\u{e000}",
        "\u{fffd}",
        "\u{ffff}",
        "\u{10000}",
        "\u{10ffff}",
        "\u{1fffe}",
        "👍🏽",
    ] {
        let text = typed(name);
        let whole = frame(Text, &text);
        rows.push(row(format!("6 {name:?}"), &[whole], echoes(&[name])));
        // A code point may lie in two frames, or in four.
        let mut frames = vec![part(Text, b"")];
        frames.extend(text.iter().map(|byte| part(Continuation, &[*byte])));
        frames.push(frame(Continuation, b""));
        rows.push(row(
            format!("6 {name:?}, a frame a byte"),
            &frames,
            echoes(&[name]),
        ));
    }
    for (name, bytes) in [
        (
            "6.3 a surrogate within Greek",
            &b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited"[..],
        ),
        ("6.6 half of a code point", b"\xce"),
        ("6.6 two thirds of a code point", b"\xe1\xbd"),
        ("6.8 five bytes", b"\xf8\x88\x80\x80\x80"),
        ("6.8 six bytes", b"\xfc\x84\x80\x80\x80\x80"),
        ("6.10 beyond the last code point", b"\xf4\x90\x80\x80"),
        ("6.10 five bytes at their largest", b"\xfb\xbf\xbf\xbf\xbf"),
        ("6.12 a continuation byte alone", b"\x80"),
        ("6.12 the last continuation byte alone", b"\xbf"),
        ("6.12 many continuation bytes", b"\x80\xbf\x80\xbf\x80"),
        ("6.13 lonely beginnings", b"\xc0 \xc1 \xc2 \xdf "),
        ("6.14 the last byte missing", b"\xf0\x90\x80"),
        ("6.15 many missing ends", b"\xe0\x80\xf0\x80\x80\xef\xbf"),
        ("6.16 impossible bytes", b"\xfe\xff"),
        ("6.17 overlong slash in two", b"\xc0\xaf"),
        ("6.17 overlong slash in three", b"\xe0\x80\xaf"),
        ("6.17 overlong slash in four", b"\xf0\x80\x80\xaf"),
        ("6.18 the largest overlong", b"\xc1\xbf"),
        ("6.18 the largest overlong in three", b"\xe0\x9f\xbf"),
        ("6.19 overlong zero", b"\xc0\x80"),
        ("6.20 the first surrogate", b"\xed\xa0\x80"),
        ("6.20 the last surrogate", b"\xed\xbf\xbf"),
        ("6.21 a pair of surrogates", b"\xed\xa0\x80\xed\xb0\x80"),
    ] {
        rows.push(row(name, &[frame(Text, bytes)], BROKEN));
        let frames = [part(Text, bytes), frame(Continuation, b"")];
        rows.push(row(format!("{name}, in fragments"), &frames, BROKEN));
    }
    // 6.4: the rest of the message never comes, and the gateway does not wait for it.
    let early = b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90\x80\x80";
    rows.push(row(
        "6.4 bad text ends the socket early",
        &[part(Text, early)],
        BROKEN,
    ));
    rows
}

/// 7: goodbyes.
fn goodbyes() -> Vec<Row> {
    let bye = |code: u16, reason: &[u8]| frame(Close, &[&code.to_be_bytes()[..], reason].concat());
    let normal = || Expected::Closes(Some(1000));
    let mut rows = vec![
        row(
            "7.1.2 two goodbyes",
            &[bye(1000, b""), bye(1000, b"")],
            normal(),
        ),
        row(
            "7.1.3 a ping after the goodbye",
            &[bye(1000, b""), frame(Ping, b"x")],
            normal(),
        ),
        row(
            "7.1.4 a text after the goodbye",
            &[bye(1000, b""), frame(Text, &typed("late"))],
            normal(),
        ),
        row(
            "7.1.5 a goodbye within a message",
            &[part(Text, b"a"), bye(1000, b""), frame(Continuation, b"b")],
            normal(),
        ),
        row(
            "7.3.1 a goodbye without a code",
            &[frame(Close, b"")],
            Expected::Closes(None),
        ),
        row("7.3.2 a goodbye of one byte", &[frame(Close, &[3])], BROKEN),
        row(
            "7.3.4 a goodbye with a reason",
            &[bye(1000, b"Hello World!")],
            normal(),
        ),
        row(
            "7.3.5 the longest reason",
            &[bye(1000, &[b'*'; 123])],
            normal(),
        ),
        row(
            "7.3.6 a reason too long",
            &[bye(1000, &[b'*'; 124])],
            BROKEN,
        ),
        row(
            "7.5.1 a reason that is no UTF-8",
            &[bye(1000, b"\xce\xba\xed\xa0\x80")],
            BROKEN,
        ),
        row("7 a fragmented goodbye", &[part(Close, &[3, 232])], BROKEN),
    ];
    for code in [
        1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999,
    ] {
        let expected = Expected::Closes(Some(code));
        rows.push(row(format!("7.7 code {code}"), &[bye(code, b"")], expected));
    }
    for code in [0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999] {
        rows.push(row(
            format!("7.9 code {code}"),
            &[bye(code, b"")],
            PROTOCOL_ERROR,
        ));
    }
    for code in [5000, 65_535] {
        rows.push(row(
            format!("7.13 code {code}"),
            &[bye(code, b"")],
            PROTOCOL_ERROR,
        ));
    }
    rows
}

/// 9 and 10: large messages, and the same in fragments.
fn limits() -> Vec<Row> {
    let mut rows = Vec::new();
    let name = "x".repeat(MAX_CLIENT_MESSAGE_BYTES - AROUND);
    let whole = typed(&name);
    for step in [64, 256, 1_300, 4_096] {
        let fragments = in_fragments(&whole, step);
        let title = format!("9.3, 10.1 the largest text in fragments of {step}");
        rows.push(row(title, &fragments, echoes(&[&name])));
        let one_more = in_fragments(&[&whole[..], b" "].concat(), step);
        let title = format!("9.3 one byte more in fragments of {step}");
        rows.push(row(title, &one_more, BROKEN));
    }
    for megabytes in [1, 4] {
        let fragments = in_fragments(&vec![b'x'; megabytes << 20], 65_536);
        let title = format!("9.4 {megabytes} MiB in fragments of 64 KiB");
        rows.push(row(title, &fragments, Expected::Refused));
    }
    for length in [1 << 20, 1 << 32, i64::MAX as u64, u64::MAX] {
        // Nothing of the payload comes: what is claimed must cost nothing.
        let title = format!("9 a frame that claims {length} bytes");
        rows.push(row(title, &[head_of(0x81, length)], BROKEN));
    }
    rows
}

fn in_fragments(text: &[u8], step: usize) -> Vec<Vec<u8>> {
    let last = text.len().div_ceil(step) - 1;
    let chunks = text.chunks(step).enumerate();
    chunks
        .map(|(index, chunk)| {
            let opcode = if index == 0 { Text } else { Continuation };
            if index == last {
                frame(opcode, chunk)
            } else {
                part(opcode, chunk)
            }
        })
        .collect()
}
