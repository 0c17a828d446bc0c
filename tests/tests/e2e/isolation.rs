//! A device reaches its own topics and no others, whatever it asks for.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ashya_protocol::rest::CredentialRequest;
use ashya_protocol::{DeviceId, Topic};
use ashya_tests::{Device, Grant, Mqtt, Publisher};
use reqwest::StatusCode;
use rumqttc::{LastWill, QoS};

use crate::in_world;

const PACE: Duration = Duration::from_millis(50);

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_to_foreign_topics_is_refused_and_gets_nothing() {
    in_world(async |world| {
        let owner = world.account().await?;
        let victim = world.device(&owner, &["detections"]).await?;
        let spy = world.device(&owner, &["detections"]).await?;
        let id: DeviceId = victim.id();
        let own = spy.id();
        let publisher = Publisher::start(victim, "detections", PACE);
        for filter in [
            format!("ashya/v1/{id}/up/detections"),
            format!("ashya/v1/{id}/up/#"),
            format!("ashya/v1/{id}/down/#"),
            format!("ashya/v1/{id}/presence"),
            format!("ashya/v1/{own}/up/detections"),
            format!("ashya/v1/{own}/#"),
            "ashya/v1/+/up/detections".into(),
            "ashya/#".into(),
            "#".into(),
            "+/+/+/+/+".into(),
            "$SYS/#".into(),
            format!("$share/all/ashya/v1/{id}/up/#"),
        ] {
            let mut mqtt = spy.connect().await?;
            let grant = mqtt.subscribe(&filter).await?;
            ensure!(grant != Grant::Granted, "{filter} was granted");
            let got = mqtt.listen(Duration::from_millis(300)).await;
            ensure!(got.is_empty(), "{filter} gave {got:?}");
        }
        let mut mqtt = spy.connect().await?;
        let grant = mqtt.subscribe(&format!("ashya/v1/{own}/down/#")).await?;
        ensure!(grant == Grant::Granted, "its own commands: {grant:?}");
        publisher.stop().await?;
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_last_will_on_a_foreign_topic_is_refused() {
    in_world(async |world| {
        let owner = world.account().await?;
        let victim = world.device(&owner, &["detections"]).await?;
        let liar = world.device(&owner, &["detections"]).await?;
        let _session = victim.connect().await?;
        for topic in [
            Topic::Presence(victim.id()),
            Topic::Up(victim.id(), "detections".parse()?),
            Topic::Demand(victim.id()),
            Topic::Demand(liar.id()),
        ] {
            let will = LastWill::new(topic.to_string(), "offline", QoS::AtLeastOnce, true);
            ensure!(
                liar.connect_with_will(Some(will)).await.is_err(),
                "a will on {topic} was taken"
            );
        }
        ensure!(
            online(world, victim.id()).await?,
            "the victim is still there"
        );
        let own = Topic::Presence(liar.id()).to_string();
        let will = LastWill::new(own, "offline", QoS::AtLeastOnce, true);
        liar.connect_with_will(Some(will))
            .await
            .context("its own presence")?;
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_devices_key_opens_its_session() {
    in_world(async |world| {
        let (api, domain) = (world.api(), world.domain());
        let owner = world.account().await?;
        let device = world.device(&owner, &["detections"]).await?;
        let other = world.device(&owner, &["detections"]).await?;
        let stranger = Device::unregistered(api, domain)?;
        ensure!(
            stranger.connect().await.is_err(),
            "an unregistered device got in"
        );

        let nonce = api.nonce().await?;
        let request = |key: &Device, nonce: &str| CredentialRequest {
            nonce: nonce.to_owned(),
            signature: key
                .key()
                .sign(&domain.credential_request(device.id(), nonce)),
        };
        let forged = api
            .request_credentials(device.id(), &request(&other, &nonce))
            .await?;
        ensure!(forged.status == StatusCode::FORBIDDEN, "{forged:?}");
        let invented = api
            .request_credentials(device.id(), &request(&device, "a1b2c3d4e5f6a7b8"))
            .await?;
        ensure!(invented.status.is_client_error(), "{invented:?}");
        let nonce = api.nonce().await?;
        let once = api
            .request_credentials(device.id(), &request(&device, &nonce))
            .await?;
        ensure!(once.status.is_success(), "{once:?}");
        let twice = api
            .request_credentials(device.id(), &request(&device, &nonce))
            .await?;
        ensure!(twice.status.is_client_error(), "a nonce was good twice");

        let port = world.gateway.addresses().mqtt.port();
        let good = api.credentials(other.key(), &domain).await?;
        for (client, name, password) in [
            (device.id(), device.id().to_string(), "guess".to_owned()),
            (device.id(), device.id().to_string(), String::new()),
            (device.id(), device.id().to_string(), good.password.clone()),
            (
                other.id(),
                other.id().to_string(),
                format!("{}x", good.password),
            ),
            (other.id(), String::new(), good.password.clone()),
        ] {
            let session =
                Mqtt::open(client.to_string(), port, (name.clone(), password), None).await;
            ensure!(session.is_err(), "{name:?} got in as {client}");
        }
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn presence_follows_the_session() {
    in_world(async |world| {
        let owner = world.account().await?;
        let device = world.device(&owner, &["detections"]).await?;
        ensure!(!online(world, device.id()).await?, "not yet connected");
        let session = device.connect().await?;
        wait_for_presence(world, device.id(), true).await?;
        drop(session);
        wait_for_presence(world, device.id(), false).await
    })
    .await;
}

async fn wait_for_presence(
    world: &ashya_tests::World,
    device: DeviceId,
    expected: bool,
) -> Result<()> {
    ashya_tests::eventually(
        "the presence to change",
        Duration::from_secs(5),
        async || Ok((online(world, device).await? == expected).then_some(())),
    )
    .await
}

async fn online(world: &ashya_tests::World, device: DeviceId) -> Result<bool> {
    let devices = world.api().devices().await?.devices;
    let found = devices.iter().find(|one| one.registration.device == device);
    Ok(found.context("the device is not listed")?.online)
}
