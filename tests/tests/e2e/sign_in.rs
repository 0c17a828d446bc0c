//! Sign-In with Ethereum: only a fresh, matching, well-signed text opens a session.

use anyhow::{Result, ensure};
use ashya_protocol::rest::SessionRequest;
use ashya_tests::{Account, SignIn, World};
use time::Duration;

use crate::in_world;

/// What is wrong with a text, in words and in deed.
type Change = (&'static str, fn(&mut SignIn));

#[tokio::test(flavor = "multi_thread")]
async fn only_an_honest_text_opens_a_session() {
    in_world(async |world| {
        let wallet = Account::random()?;
        let good = request(world).await?;
        let session = world.api().open_session(&wallet, &good).await?;
        let session: ashya_protocol::rest::Session = session.json()?;
        ensure!(session.wallet == wallet.address());
        let again = world.api().open_session(&wallet, &good).await?;
        ensure!(
            again.problem()?.code == "nonce-used",
            "a nonce was good twice: {again:?}"
        );

        let changes: [Change; 6] = [
            ("another domain", |text| text.domain = "evil.example".into()),
            ("another page's address", |text| {
                text.uri = "https://evil.example".into();
            }),
            ("another chain", |text| text.chain_id = 1),
            ("an invented nonce", |text| {
                text.nonce = "abcdefgh12345678".into();
            }),
            ("a text that has run out", |text| {
                text.expires_at = Some(text.issued_at - Duration::MINUTE);
            }),
            ("tomorrow's text", |text| text.issued_at += Duration::DAY),
        ];
        for (name, change) in changes {
            let mut text = request(world).await?;
            change(&mut text);
            let answer = world.api().open_session(&wallet, &text).await?;
            ensure!(answer.status.is_client_error(), "{name}: {answer:?}");
            answer.problem()?;
        }
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_signs_in_for_somebody_else() {
    in_world(async |world| {
        let (victim, thief) = (Account::random()?, Account::random()?);
        let text = request(world).await?;
        let (message, _) = victim.sign_in(&text)?;
        let (_, signature) = thief.sign_in(&text)?;
        for signature in [
            signature,
            "0x".into(),
            format!("0x{}", "00".repeat(65)),
            "junk".into(),
        ] {
            let body = SessionRequest {
                message: message.clone(),
                signature,
            };
            let answer = world.api().post("/v1/auth/session", &body).await?;
            ensure!(answer.status.is_client_error(), "{answer:?}");
        }
        Ok(())
    })
    .await;
}

async fn request(world: &World) -> Result<SignIn> {
    world.api().sign_in_request(world.domain().chain_id).await
}
