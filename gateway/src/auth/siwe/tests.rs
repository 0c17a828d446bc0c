use super::*;

const NOW: u64 = 1_790_000_000; // 2026-09-21T14:13:20Z
const ADDRESS: &str = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
const GOOD: &str = "127.0.0.1:8080 wants you to sign in with your Ethereum account:
0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266

Sign in to Ashya

URI: http://127.0.0.1:8080
Version: 1
Chain ID: 31337
Nonce: 00aabbccdd
Issued At: 2026-09-21T14:13:00.000Z";

fn verdict(text: &str) -> Result<(), SiweError> {
    let domains = ["127.0.0.1:8080".to_owned(), "ashya.example".to_owned()];
    SiweMessage::parse(text)?.check(&domains, 31_337, Duration::from_secs(NOW))
}

#[test]
fn a_good_message_is_read() {
    let message = SiweMessage::parse(GOOD).unwrap();
    assert_eq!(
        message.address.to_string(),
        "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266"
    );
    assert_eq!(message.nonce, "00aabbccdd");
    assert_eq!(verdict(GOOD), Ok(()));
}

#[test]
fn other_good_forms() {
    let https = GOOD.replace("127.0.0.1:8080", "ashya.example");
    for good in [
        GOOD.replace("127.0.0.1:8080 wants", "http://127.0.0.1:8080 wants"),
        GOOD.replace("Sign in to Ashya\n", ""),
        GOOD.replace(ADDRESS, &ADDRESS.to_lowercase()),
        format!("{GOOD}\nExpiration Time: 2026-09-21T14:13:21Z"),
        format!("{GOOD}\nExpiration Time: 2026-09-21T16:13:21+02:00"),
        format!("{GOOD}\nNot Before: 2026-09-21T14:13:20Z\nRequest ID: 7"),
        format!("{GOOD}\nResources:\n- https://ashya.example/a\n- ipfs://b"),
        format!("{GOOD}\nResources:"),
        GOOD.replace(
            "URI: http://127.0.0.1:8080",
            "URI: http://127.0.0.1:8080/feeds",
        ),
        https.replace("URI: http:", "URI: https:"),
        // At the very limits.
        GOOD.replace("00aabbccdd", "00aabbcc"),
        GOOD.replace("14:13:00.000Z", "14:14:20Z"),
        format!("{GOOD}\nNot Before: 2026-09-21T14:14:20Z"),
        format!(
            "{GOOD}\nRequest ID: {}",
            "7".repeat(MAX_MESSAGE_BYTES - GOOD.len() - 13)
        ),
    ] {
        assert_eq!(verdict(&good), Ok(()), "{good}");
    }
}

#[test]
fn malformed_messages_are_refused() {
    for bad in [
        String::new(),
        "hello".into(),
        GOOD.replace(" wants you", " wants me"),
        GOOD.replace("127.0.0.1:8080 wants", " wants"),
        GOOD.replace("127.0.0.1:8080 wants", "javascript://127.0.0.1:8080 wants"),
        GOOD.replace("127.0.0.1:8080 wants", "a b wants"),
        GOOD.replace("0xf39F", "0xf39"),
        GOOD.replace("0xf39F", "f39F"),
        GOOD.replace("0xf39F", "0xF39F"),
        GOOD.replace("00aabbccdd", "00aabbc"),
        GOOD.replace("00aabbccdd", "00aabbcc-d"),
        format!("{GOOD}\nResources:\n- b"),
        GOOD.replace("266\n\nSign", "266\nSign"),
        GOOD.replace("Sign in to Ashya\n\n", "Sign in to Ashya\n"),
        GOOD.replace("Sign in to Ashya\n\n", "Sign in\nto Ashya\n\n"),
        GOOD.replace("URI: ", "Uri: "),
        GOOD.replace("Chain ID: 31337", "Chain ID: 0x7a69"),
        GOOD.replace("Chain ID: 31337", "Chain ID: +31337"),
        GOOD.replace("Chain ID: 31337", "Chain ID: 99999999999999999999"),
        GOOD.replace("Chain ID: 31337\n", ""),
        GOOD.replace("Nonce: 00aabbccdd\n", ""),
        GOOD.replace("2026-09-21T14:13:00.000Z", "yesterday"),
        GOOD.replace("2026-09-21T14:13:00.000Z", "2026-13-21T14:13:00Z"),
        GOOD.replace("\nIssued At: 2026-09-21T14:13:00.000Z", ""),
        GOOD.replace('\n', "\r\n"),
        GOOD.replace("Sign in", "Sign\tin"),
        format!("{GOOD}\n"),
        format!("{GOOD}\nExpiration Time: soon"),
        format!("{GOOD}\nMore: 1"),
        format!("{GOOD}\nResources:\nhttps://ashya.example"),
        format!("{GOOD}\nResources:\n- {}", "x".repeat(MAX_MESSAGE_BYTES)),
        format!(
            "{GOOD}\nRequest ID: {}",
            "7".repeat(MAX_MESSAGE_BYTES - GOOD.len() - 12)
        ),
    ] {
        assert!(
            matches!(verdict(&bad), Err(SiweError::Malformed(_))),
            "{:?}: {bad}",
            verdict(&bad)
        );
    }
}

#[test]
fn messages_for_others_or_other_times_are_refused() {
    let domain = |found: &str| SiweError::Domain {
        found: found.into(),
    };
    for (bad, error) in [
        (GOOD.replace("Version: 1", "Version: 2"), SiweError::Version),
        (
            GOOD.replace("127.0.0.1:8080 wants", "evil.example wants"),
            domain("evil.example"),
        ),
        (
            GOOD.replace("127.0.0.1:8080 wants", "127.0.0.1 wants"),
            domain("127.0.0.1"),
        ),
        (
            GOOD.replace("URI: http://127.0.0.1:8080", "URI: http://evil.example"),
            SiweError::Uri,
        ),
        (
            GOOD.replace("URI: http://127.0.0.1:8080", "URI: http://127.0.0.1:9"),
            SiweError::Uri,
        ),
        (GOOD.replace("URI: http:", "URI: ftp:"), SiweError::Uri),
        (
            GOOD.replace("URI: http://", "URI: http://127.0.0.1:8080@"),
            SiweError::Uri,
        ),
        (
            GOOD.replace("URI: http://", "URI: http://:secret@"),
            SiweError::Uri,
        ),
        (
            GOOD.replace("URI: http://127.0.0.1:8080", "URI: here"),
            SiweError::Uri,
        ),
        (
            GOOD.replace("31337", "1"),
            SiweError::Chain {
                found: 1,
                expected: 31_337,
            },
        ),
        (GOOD.replace("14:13:00", "14:14:21"), SiweError::NotYet),
        (
            format!("{GOOD}\nNot Before: 2026-09-21T14:13:20Z").replace("14:13:00", "14:14:21"),
            SiweError::NotYet,
        ),
        (
            format!("{GOOD}\nNot Before: 2026-09-21T14:14:21Z"),
            SiweError::NotYet,
        ),
        (
            format!("{GOOD}\nExpiration Time: 2026-09-21T14:13:20Z"),
            SiweError::Expired,
        ),
        (
            format!("{GOOD}\nExpiration Time: 2025-09-21T14:13:20Z"),
            SiweError::Expired,
        ),
    ] {
        assert_eq!(verdict(&bad), Err(error), "{bad}");
    }
}
