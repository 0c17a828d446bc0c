//! REST as a client without our libraries sees it.

use anyhow::{Context, Result, ensure};
use ashya_protocol::rest::{Device as Shown, DeviceList, Registration, SignedListing};
use ashya_protocol::{DeviceId, Listing};
use ashya_tests::{Account, Answer, Device, FeedPlan, World};
use reqwest::header::{ETAG, IF_MATCH, IF_NONE_MATCH};
use reqwest::{Method, StatusCode};

use crate::in_world;

fn document(device: &Device, owner: &Account, revision: u64, title: &str) -> Result<Registration> {
    Ok(Registration {
        device: device.id(),
        owner: owner.address(),
        revision,
        title: title.into(),
        description: String::new(),
        streams: vec!["detections".parse()?],
    })
}

async fn put(world: &World, device: DeviceId, signed: &impl serde::Serialize) -> Result<Answer> {
    let path = format!("/v1/devices/{device}");
    let request = world.api().request(Method::PUT, &path)?;
    world.api().send(request.json(signed)).await
}

/// The status of a read, and its tag.
async fn read(world: &World, path: &str, known: Option<&str>) -> Result<(StatusCode, String)> {
    let mut request = world.api().request(Method::GET, path)?;
    if let Some(known) = known {
        request = request.header(IF_NONE_MATCH, known);
    }
    let response = request.send().await?;
    let tag = response.headers().get(ETAG).context("no tag")?;
    let tag = tag.to_str()?.to_owned();
    let status = response.status();
    let body = response.bytes().await?;
    ensure!((status == StatusCode::NOT_MODIFIED) == body.is_empty());
    Ok((status, tag))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_life_of_a_registration() {
    in_world(async |world| {
        let (owner, stranger) = (Account::random()?, Account::random()?);
        let device = Device::unregistered(world.api(), world.domain())?;
        let other = Device::unregistered(world.api(), world.domain())?;
        let id = device.id();
        let path = format!("/v1/devices/{id}");
        let first = device.sign_registration(document(&device, &owner, 1, "Gate")?);
        let second = device.sign_registration(document(&device, &owner, 2, "Yard")?);
        let forged = other.sign_registration(document(&device, &stranger, 9, "Mine")?);

        let unknown = world.api().get(&path).await?;
        ensure!(unknown.problem()?.code == "device-unknown", "{unknown:?}");
        for (name, signed, status, code) in [
            ("new", &first, 201, ""),
            ("the same again", &first, 200, ""),
            ("a forged one", &forged, 403, "signature-invalid"),
            ("a later revision", &second, 200, ""),
            ("the older one", &first, 409, "revision-old"),
        ] {
            let answer = world.api().register(signed).await?;
            ensure!(answer.status.as_u16() == status, "{name}: {answer:?}");
            if !code.is_empty() {
                ensure!(answer.problem()?.code == code, "{name}: {answer:?}");
            }
        }
        let mismatch = put(world, other.id(), &second).await?;
        ensure!(mismatch.problem()?.code == "device-mismatch");
        let shown: Shown = world.api().get(&path).await?.json()?;
        ensure!(shown.registration == second.registration);
        ensure!(!shown.owner_proven && !shown.online, "{shown:?}");

        let thief = world.sign_in(&stranger).await?;
        let refused = world.api().remove_device(&thief, id).await?;
        ensure!(refused.problem()?.code == "owner-required", "{refused:?}");
        let session = world.sign_in(&owner).await?;
        let gone = world.api().remove_device(&session, id).await?;
        ensure!(gone.status == StatusCode::NO_CONTENT, "{gone:?}");
        ensure!(world.api().get(&path).await?.status == StatusCode::NOT_FOUND);
        // What was taken off comes back by a new word of the device alone.
        let replayed = world.api().register(&second).await?;
        ensure!(replayed.problem()?.code == "revision-old", "{replayed:?}");
        let third = device.sign_registration(document(&device, &owner, 3, "Gate")?);
        let back = world.api().register(&third).await?;
        ensure!(back.status == StatusCode::CREATED, "{back:?}");
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_is_what_the_ledger_names() {
    in_world(async |world| {
        let owner = world.account().await?;
        let device = world.device(&owner, &["detections"]).await?;
        let plan = FeedPlan::detections("Gate", 1_000);
        let feed = world.open_device_feed(&device, &owner, "gate", plan);
        let feed = feed.await?;
        let path = format!("/v1/feeds/{}/listing", feed.id);
        let served = world.api().get(&path).await?;
        ensure!(served.status == StatusCode::OK, "{served:?}");
        ensure!(Listing::hash_of(&served.body) == feed.listing);

        let sign = |document: String, by: &Account| {
            let hash = Listing::hash_of(&document);
            let digest = world.domain().feed_listing(feed.id, hash);
            let signature = by.key().sign(&digest);
            SignedListing {
                document,
                signature,
            }
        };
        let other = served.body.replace("Gate", "Yard");
        let stranger = Account::random()?;
        for (name, listing, code) in [
            ("another document", sign(other, &owner), "listing-hash"),
            ("no listing", sign("{}".into(), &owner), "listing-invalid"),
            (
                "another's signature",
                sign(served.body.clone(), &stranger),
                "signature-invalid",
            ),
        ] {
            let answer = world.api().put_listing(feed.id, &listing).await?;
            ensure!(answer.problem()?.code == code, "{name}: {answer:?}");
        }
        let (_, tag) = read(world, &path, None).await?;
        for (tag, status) in [("\"0\"", 412), (tag.as_str(), 204)] {
            let request = world.api().request(Method::PUT, &path)?;
            let listing = sign(served.body.clone(), &owner);
            let request = request.header(IF_MATCH, tag).json(&listing);
            let answer = world.api().send(request).await?;
            ensure!(answer.status.as_u16() == status, "{tag}: {answer:?}");
        }
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_have_tags_and_lists_have_pages() {
    in_world(async |world| {
        let owner = Account::random()?;
        let mut devices = Vec::new();
        for number in 0..5 {
            let device = Device::unregistered(world.api(), world.domain())?;
            let title = format!("Camera {number}");
            let signed = device.sign_registration(document(&device, &owner, 1, &title)?);
            ensure!(world.api().register(&signed).await?.status == StatusCode::CREATED);
            devices.push(device);
        }
        let (mut seen, mut path) = (Vec::new(), "/v1/devices?limit=2".to_owned());
        loop {
            let page: DeviceList = world.api().get(&path).await?.json()?;
            ensure!(page.devices.len() <= 2);
            seen.extend(page.devices.iter().map(|one| one.registration.device));
            let Some(next) = page.next else { break };
            path = format!("/v1/devices?limit=2&after={next}");
        }
        let mut expected: Vec<_> = devices.iter().map(Device::id).collect();
        expected.sort_unstable();
        ensure!(seen == expected, "{seen:?}");

        let device = &devices[0];
        let path = format!("/v1/devices/{}", device.id());
        let (status, tag) = read(world, &path, None).await?;
        ensure!(status == StatusCode::OK);
        let (status, _) = read(world, &path, Some(&tag)).await?;
        ensure!(status == StatusCode::NOT_MODIFIED);
        let changed = device.sign_registration(document(device, &owner, 2, "Gate")?);
        ensure!(put(world, device.id(), &changed).await?.status == StatusCode::OK);
        let (status, new) = read(world, &path, Some(&tag)).await?;
        ensure!(status == StatusCode::OK && new != tag);
        let late = device.sign_registration(document(device, &owner, 3, "Yard")?);
        let request = world.api().request(Method::PUT, &path)?;
        let request = request.header(IF_MATCH, tag).json(&late);
        let answer = world.api().send(request).await?;
        ensure!(answer.problem()?.code == "changed-meanwhile", "{answer:?}");
        Ok(())
    })
    .await;
}
