use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;

use super::*;

const DAY: u64 = 24 * 3600;

/// Writes a certificate and its key.
fn files(folder: &TempDir) -> TlsConfig {
    let [certificate, key] = ["cert.pem", "key.pem"].map(|name| folder.path().join(name));
    let pair = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(2_100, 1, 1);
    fs::write(&certificate, params.self_signed(&pair).unwrap().pem()).unwrap();
    fs::write(&key, pair.serialize_pem()).unwrap();
    fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    TlsConfig { certificate, key }
}

#[test]
fn a_certificate_is_renewed_in_time() {
    let now = Duration::from_secs(1_000 * DAY);
    for (left, expected) in [
        (0, Lifetime::Over),
        (1, Lifetime::EndsSoon(0)),
        (14 * DAY - 1, Lifetime::EndsSoon(13)),
        (14 * DAY, Lifetime::Good(14)),
        (90 * DAY, Lifetime::Good(90)),
    ] {
        assert_eq!(Lifetime::at(now, 1_000 * DAY + left), expected, "{left}");
    }
    assert_eq!(Lifetime::at(now, 5), Lifetime::Over);
}

#[test]
fn the_end_is_the_certificates() {
    let folder = TempDir::new().unwrap();
    let tls = Tls::load(&files(&folder)).unwrap();
    assert_eq!(tls.expires_at(), 4_102_444_800);
    assert!(matches!(tls.lifetime(), Lifetime::Good(_)));
}

#[test]
fn what_cannot_be_shown_is_one_line_and_changes_nothing() {
    let folder = TempDir::new().unwrap();
    let files = files(&folder);
    let tls = Tls::load(&files).unwrap();
    let before = tls.acceptor(Speaks::Http);
    let other = self::files(&TempDir::new().unwrap());
    drop(other);
    let elsewhere = TempDir::new().unwrap();
    let other = fs::read(self::files(&elsewhere).key).unwrap();
    let (certificate, key) = (
        fs::read(&files.certificate).unwrap(),
        fs::read(&files.key).unwrap(),
    );
    for (name, shown, secret, mode, says) in [
        ("open", &certificate, &key, 0o640, "chmod 600"),
        ("no chain", &key, &key, 0o600, "holds no certificate"),
        (
            "no key",
            &certificate,
            &certificate,
            0o600,
            "holds no private key",
        ),
        ("empty", &Vec::new(), &key, 0o600, "holds no certificate"),
        ("pair", &certificate, &other, 0o600, "used together"),
    ] {
        fs::write(&files.certificate, shown).unwrap();
        fs::write(&files.key, secret).unwrap();
        fs::set_permissions(&files.key, Permissions::from_mode(mode)).unwrap();
        let line = tls.reload().unwrap_err().to_string();
        assert!(
            line.contains(says) && !line.contains('\n'),
            "{name}: {line}"
        );
    }
    fs::remove_file(&files.certificate).unwrap();
    assert!(matches!(tls.reload(), Err(TlsError::Io { .. })));
    let after = tls.acceptor(Speaks::Http);
    assert!(Arc::ptr_eq(before.config(), after.config()));
    fs::write(&files.certificate, &certificate).unwrap();
    fs::write(&files.key, &key).unwrap();
    tls.reload().unwrap();
    let renewed = tls.acceptor(Speaks::Http);
    assert!(!Arc::ptr_eq(before.config(), renewed.config()));
}
