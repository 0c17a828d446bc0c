use ashya_protocol::DeviceId;
use ashya_protocol::rest::{
    CredentialRequest, Credentials, Device, DeviceList, Registration, SignedRegistration,
};
use axum::Json;
use axum::extract::{FromRef, State};
use http::StatusCode;

use super::conditional::IfMatch;
use super::extract::{Bearer, Client, Id, JsonBody, Search};
use super::paging::PageQuery;
use super::{ApiState, HttpError, Site};
use crate::auth::device_passwords::DevicePasswords;
use crate::auth::nonces::{Nonces, Purpose};
use crate::auth::rates::Action;
use crate::chain_clock::ChainClock;
use crate::ledger_index::LedgerIndex;
use crate::presence::Presence;
use crate::registry::{Registered, Registry, RegistryError};
use crate::traces::Traces;

/// What there is to tell of a device.
#[derive(Debug, Clone)]
pub(super) struct Known {
    registry: Registry,
    index: LedgerIndex,
    presence: Presence,
    clock: ChainClock,
}

impl FromRef<ApiState> for Known {
    fn from_ref(state: &ApiState) -> Self {
        Self {
            registry: state.registry.clone(),
            index: state.index.clone(),
            presence: state.presence.clone(),
            clock: state.clock.clone(),
        }
    }
}

impl Known {
    fn describe(&self, registration: Registration) -> Device {
        Device {
            owner_proven: has_proven_owner(&registration, &self.index),
            online: self.presence.is_online(registration.device),
            registration,
        }
    }
}

/// `GET /v1/devices`
#[utoipa::path(
    get,
    path = "/v1/devices",
    operation_id = "devices_list",
    params(PageQuery),
    responses((status = 200, description = "The devices", body = DeviceList))
)]
pub(super) async fn list(
    State(known): State<Known>,
    Search(query): Search<PageQuery>,
) -> Result<Json<DeviceList>, HttpError> {
    let wanted = query.wanted()?;
    let registrations = known.registry.devices_after(wanted.after, wanted.limit + 1);
    let (registrations, next) = wanted.page(registrations, |one| one.device);
    let devices = registrations
        .into_iter()
        .map(|registration| known.describe(registration))
        .collect();
    Ok(Json(DeviceList { devices, next }))
}

/// `GET /v1/devices/{id}`
#[utoipa::path(
    get,
    path = "/v1/devices/{id}",
    operation_id = "devices_read",
    params(("id" = DeviceId, Path)),
    responses((status = 200, description = "The device", body = Device))
)]
pub(super) async fn read(
    State(known): State<Known>,
    Id(device): Id<DeviceId>,
) -> Result<Json<Device>, HttpError> {
    let registration = known
        .registry
        .device(device)
        .ok_or(RegistryError::Unknown(device))?;
    Ok(Json(known.describe(registration)))
}

/// `POST /v1/devices`: 201 for a new device, 200 for a later revision or the same document again.
#[utoipa::path(
    post,
    path = "/v1/devices",
    operation_id = "devices_register",
    request_body = SignedRegistration,
    responses((status = 201, description = "A new device", body = Device), (status = 200, description = "A later revision, or the same again", body = Device))
)]
pub(super) async fn register(
    State(known): State<Known>,
    State(traces): State<Traces>,
    client: Client,
    JsonBody(signed): JsonBody<SignedRegistration>,
) -> Result<(StatusCode, Json<Device>), HttpError> {
    client.counts(Action::Registration)?;
    let registration = signed.registration.clone();
    // A device that is sold stays, and one that was, whoever owns its feeds by now.
    let is_sold = |device| {
        let feeds = known.index.feeds_of_device(device).into_iter();
        feeds
            .filter_map(|feed| known.index.feed(feed))
            .any(|feed| feed.sold.is_some() || known.registry.may_sell(feed.owner, device))
    };
    let may_go =
        |claim: &Registration| !is_sold(claim.device) && !known.presence.is_online(claim.device);
    let forget = |gone| {
        if known.index.feeds_of_device(gone).is_empty() {
            traces.forget(gone);
        }
    };
    // What the ledger has not said yet could be that a device is sold.
    let registered = if known.clock.is_current() {
        let registry = &known.registry;
        registry.register_instead(signed, may_go, forget).await
    } else {
        known.registry.register(signed).await
    };
    let status = match registered? {
        Registered::New => StatusCode::CREATED,
        Registered::Updated | Registered::Unchanged => StatusCode::OK,
    };
    Ok((status, Json(known.describe(registration))))
}

/// `PUT /v1/devices/{id}`: as `POST`, for a device that the path names, and only while it is as `If-Match` names it.
#[utoipa::path(
    put,
    path = "/v1/devices/{id}",
    operation_id = "devices_update",
    params(("id" = DeviceId, Path), ("if-match" = Option<String>, Header, description = "ETag of what was read")),
    request_body = SignedRegistration,
    responses((status = 201, description = "A new device", body = Device), (status = 200, description = "A later revision, or the same again", body = Device))
)]
pub(super) async fn update(
    State(known): State<Known>,
    traces: State<Traces>,
    client: Client,
    if_match: IfMatch,
    Id(device): Id<DeviceId>,
    JsonBody(signed): JsonBody<SignedRegistration>,
) -> Result<(StatusCode, Json<Device>), HttpError> {
    if signed.registration.device != device {
        let detail = format!("the document is about {}", signed.registration.device);
        return Err(HttpError::bad_request("device-mismatch", detail));
    }
    // What can never be taken is refused whatever is there.
    signed.registration.check().map_err(RegistryError::from)?;
    let there = known.registry.device(device);
    let there = there.map(|registration| known.describe(registration));
    if_match.check(there.as_ref())?;
    register(State(known), traces, client, JsonBody(signed)).await
}

/// `DELETE /v1/devices/{id}`, by the wallet that the device names as its owner, and only while it is as `If-Match` names it.
#[utoipa::path(
    delete,
    path = "/v1/devices/{id}",
    operation_id = "devices_remove",
    params(("id" = DeviceId, Path), ("if-match" = Option<String>, Header, description = "ETag of what was read")),
    responses((status = 204, description = "The device is off the list")),
    security(("session" = []))
)]
pub(super) async fn remove(
    State(known): State<Known>,
    Bearer(session): Bearer,
    if_match: IfMatch,
    Id(device): Id<DeviceId>,
) -> Result<StatusCode, HttpError> {
    let registration = known
        .registry
        .device(device)
        .ok_or(RegistryError::Unknown(device))?;
    if registration.owner != session.wallet {
        let detail = format!("only {} may take this device off", registration.owner);
        return Err(HttpError::forbidden("owner-required", detail));
    }
    if_match.check(Some(&known.describe(registration)))?;
    known.registry.remove(device).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /v1/devices/{id}/credentials`
#[utoipa::path(
    post,
    path = "/v1/devices/{id}/credentials",
    operation_id = "devices_credentials",
    params(("id" = DeviceId, Path)),
    request_body = CredentialRequest,
    responses((status = 200, description = "How the device logs in by MQTT", body = Credentials))
)]
pub(super) async fn credentials(
    State(registry): State<Registry>,
    State(nonces): State<Nonces>,
    State(passwords): State<DevicePasswords>,
    State(site): State<Site>,
    client: Client,
    Id(device): Id<DeviceId>,
    JsonBody(request): JsonBody<CredentialRequest>,
) -> Result<Json<Credentials>, HttpError> {
    client.counts(Action::Credentials)?;
    if registry.blocked().is_blocked(device) {
        return Err(RegistryError::Blocked(device).into());
    }
    if registry.device(device).is_none() {
        return Err(RegistryError::Unknown(device).into());
    }
    let nonce = nonces.check(&request.nonce)?;
    let digest = site.0.domain().credential_request(device, &request.nonce);
    if request.signature.recover(&digest) != Ok(device.address()) {
        let detail = "the request is not signed by the device";
        return Err(HttpError::forbidden("signature-invalid", detail));
    }
    client.counts_for(Action::Credentials, device.address())?;
    nonces.spend(nonce, Purpose::Password).await?;
    let (password, expires_at) = passwords.issue(device);
    Ok(Json(Credentials {
        username: device.to_string(),
        password,
        expires_at,
        mqtt_port: site.0.mqtt_port,
        mqtt_tls_port: site.0.mqtt_tls_port,
        mqtt_host: site.0.mqtt_host.clone(),
    }))
}

/// Whether the device consented on the ledger to the owner that it names, as it does to that of each of its feeds.
fn has_proven_owner(registration: &Registration, index: &LedgerIndex) -> bool {
    let feeds = index.feeds_of_device(registration.device).into_iter();
    feeds
        .filter_map(|feed| index.feed(feed))
        .any(|feed| feed.owner == registration.owner)
}
