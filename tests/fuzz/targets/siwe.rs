//! A sign-in text that is accepted says, on lines of its own, what the gateway takes it to say, and holds for one site
//! and one chain.
#![no_main]

use std::time::Duration;

use ashya_gateway::{SiweError, SiweMessage};
use libfuzzer_sys::fuzz_target;

const OTHER_SITE: &str = "other.example";
const NOW: Duration = Duration::from_secs(1_790_000_000);

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let Ok(message) = SiweMessage::parse(text) else {
        return;
    };
    let lines: Vec<&str> = text.split('\n').collect();
    let address = message.address.to_string();
    assert!(lines[0].contains(&message.domain));
    assert!(lines[1].eq_ignore_ascii_case(&address));
    for line in [
        format!("URI: {}", message.uri),
        "Version: 1".to_owned(),
        format!("Nonce: {}", message.nonce),
    ] {
        assert!(lines.contains(&line.as_str()), "{line:?} in {text:?}");
    }
    // The statement may look like one of these lines too.
    let mut chains = lines
        .iter()
        .filter_map(|line| line.strip_prefix("Chain ID: "));
    assert!(chains.any(|chain| chain.parse() == Ok(message.chain_id)));
    assert!(message.nonce.len() >= 8 && message.nonce.bytes().all(|b| b.is_ascii_alphanumeric()));

    for now in [Duration::ZERO, NOW, Duration::from_secs(u32::MAX.into())] {
        let own = [message.domain.clone()];
        let good = message.check(&own, message.chain_id, now);
        assert!(!matches!(
            good,
            Err(SiweError::Domain { .. } | SiweError::Chain { .. })
        ));
        assert!(message.check(&own, message.chain_id ^ 1, now).is_err());
        if !message.domain.eq_ignore_ascii_case(OTHER_SITE) {
            let elsewhere = message.check(&[OTHER_SITE.to_owned()], message.chain_id, now);
            assert!(matches!(elsewhere, Err(SiweError::Domain { .. })));
        }
    }
});
