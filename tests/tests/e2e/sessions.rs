//! Sessions of one wallet: listed, ended one by one or all at once, and limited.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ashya_protocol::rest::{Session, SessionInfo, SessionList};
use ashya_protocol::ws::CloseCode;
use ashya_tests::{Account, Answer, Subprotocol, Watcher, World, WorldOptions};
use reqwest::{Method, StatusCode};

use crate::in_world;

/// Time in which an open socket notices that its session is over.
const NOTICE_LIMIT: Duration = Duration::from_secs(5);
const LIST: &str = "/v1/auth/sessions";

async fn list(world: &World, session: &Session) -> Result<Vec<SessionInfo>> {
    let answer = world.api().get_as(session, LIST).await?;
    Ok(answer.json::<SessionList>()?.sessions)
}

async fn delete(world: &World, session: &Session, path: &str) -> Result<Answer> {
    let request = world.api().request(Method::DELETE, path)?;
    world.api().send(request.bearer_auth(&session.token)).await
}

async fn current(world: &World, session: &Session) -> Result<SessionInfo> {
    let mut own = list(world, session).await?.into_iter();
    own.find(|one| one.current).context("its own is not listed")
}

async fn is_good(world: &World, session: &Session) -> Result<bool> {
    let answer = world.api().get_as(session, LIST).await?;
    Ok(answer.status == StatusCode::OK)
}

async fn socket(world: &World, session: &Session) -> Result<Watcher> {
    let (base, domain) = (world.api().base(), world.domain());
    let mut watcher = Watcher::open(base, domain, Subprotocol::Binary).await?;
    watcher.authenticate(&session.token).await?;
    Ok(watcher)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_sees_its_sessions_and_ends_them() {
    in_world(async |world| {
        let (wallet, other) = (Account::random()?, Account::random()?);
        let phone = world.sign_in(&wallet).await?;
        let laptop = world.sign_in(&wallet).await?;
        let stranger = world.sign_in(&other).await?;
        let mut on_phone = socket(world, &phone).await?;

        let seen = list(world, &laptop).await?;
        ensure!(seen.len() == 2, "{seen:?}");
        ensure!(seen.iter().filter(|one| one.current).count() == 1);
        let phones = current(world, &phone).await?;
        ensure!(phones.sockets == 1 && phones.expires_at > phones.issued_at);
        ensure!(phones.id != current(world, &laptop).await?.id);

        // The id opens nothing, and is nobody else's to end.
        let path = format!("{LIST}/{}", phones.id);
        let refused = delete(world, &stranger, &path).await?;
        ensure!(refused.problem()?.code == "session-unknown", "{refused:?}");
        ensure!(is_good(world, &phone).await?);

        let ended = delete(world, &laptop, &path).await?;
        ensure!(ended.status == StatusCode::NO_CONTENT, "{ended:?}");
        ensure!(!is_good(world, &phone).await?, "an ended session is good");
        let code = on_phone.closed(NOTICE_LIMIT).await?;
        ensure!(code == Some(CloseCode::Revoked.code()), "{code:?}");
        ensure!(list(world, &laptop).await?.len() == 1);

        let tablet = world.sign_in(&wallet).await?;
        let mut on_tablet = socket(world, &tablet).await?;
        let ended = delete(world, &laptop, LIST).await?;
        ensure!(ended.status == StatusCode::NO_CONTENT, "{ended:?}");
        for session in [&laptop, &tablet] {
            ensure!(!is_good(world, session).await?);
        }
        let code = on_tablet.closed(NOTICE_LIMIT).await?;
        ensure!(code == Some(CloseCode::Revoked.code()), "{code:?}");
        ensure!(
            is_good(world, &stranger).await?,
            "somebody else's ended too"
        );
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_ended_stays_ended_after_a_crash() {
    in_world(async |world| {
        let wallet = Account::random()?;
        let (ended, kept) = (world.sign_in(&wallet).await?, world.sign_in(&wallet).await?);
        let answer = delete(world, &ended, "/v1/auth/session").await?;
        ensure!(answer.status == StatusCode::NO_CONTENT, "{answer:?}");
        world.gateway.crash_and_restart().await?;
        ensure!(!is_good(world, &ended).await?, "it came back");
        ensure!(is_good(world, &kept).await?);
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_has_so_many_sign_ins_and_sockets() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("gateway.toml");
    let limits = "[auth]\nper_address_per_minute = 3\nsockets_per_wallet = 2\n";
    std::fs::write(&config, limits).unwrap();
    let options = WorldOptions {
        gateway_flags: vec!["--config".into(), config.display().to_string()],
        ..WorldOptions::default()
    };
    let world = World::start_with(options, |_| {}).await.unwrap();
    if let Err(error) = limits_hold(&world).await {
        panic!("{error:?}");
    }
}

async fn limits_hold(world: &World) -> Result<()> {
    let (wallet, other) = (Account::random()?, Account::random()?);
    let chain = world.domain().chain_id;
    let mut sessions = Vec::new();
    for _ in 0..3 {
        sessions.push(world.sign_in(&wallet).await?);
    }
    let text = world.api().sign_in_request(chain).await?;
    let refused = world.api().open_session(&wallet, &text).await?;
    ensure!(
        refused.status == StatusCode::TOO_MANY_REQUESTS,
        "{refused:?}"
    );
    ensure!(refused.problem()?.code == "rate-limited");
    world.sign_in(&other).await.context("somebody else")?;

    let mut open = Vec::new();
    for session in &sessions[..2] {
        open.push(socket(world, session).await?);
    }
    // Whichever of its sessions asks.
    let (base, domain) = (world.api().base(), world.domain());
    let mut third = Watcher::open(base, domain, Subprotocol::Binary).await?;
    let token = sessions[2].token.clone();
    third
        .say(&ashya_protocol::ws::ClientMessage::Auth { token })
        .await?;
    let code = third.closed(NOTICE_LIMIT).await?;
    ensure!(code == Some(CloseCode::TooManySockets.code()), "{code:?}");
    Ok(())
}
