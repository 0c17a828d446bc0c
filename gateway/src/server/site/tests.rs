use super::*;

#[test]
fn wallets_sign_in_for_the_configured_domains_or_the_own_address() {
    for (configured, listener, expected) in [
        (
            &[][..],
            "127.0.0.1:4321",
            &["127.0.0.1:4321", "localhost:4321"][..],
        ),
        (
            &[][..],
            "0.0.0.0:8080",
            &["127.0.0.1:8080", "localhost:8080"][..],
        ),
        (&[][..], "[::1]:80", &["[::1]:80", "localhost:80"][..]),
        (
            &["ashya.example"][..],
            "0.0.0.0:8080",
            &["ashya.example"][..],
        ),
    ] {
        let configured: Vec<String> = configured.iter().map(ToString::to_string).collect();
        assert_eq!(domains(&configured, listener.parse().unwrap()), expected);
    }
}
