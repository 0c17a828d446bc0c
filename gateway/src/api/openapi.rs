//! `GET /v1/openapi.json`: what this interface takes and gives (OpenAPI 3.1).

use std::sync::Arc;

use axum::Extension;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use utoipa::openapi::path::{HttpMethod, OperationBuilder, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{
    ContentBuilder, OpenApi as Document, PathItem, Ref, RefOr, Required, ResponseBuilder,
};
use utoipa::{Modify, OpenApi};

/// Where the shapes stand.
const SHAPES: &str = "#/components/schemas/";
/// What describes every failure.
const PROBLEM: &str = "#/components/schemas/Problem";

/// The document as it is sent. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Text(Arc<str>);

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Ashya gateway",
        description = "Device feeds for whoever has paid for them. Failures are RFC 9457 problem documents with a stable `code`.",
    ),
    components(schemas(ashya_protocol::rest::Problem)),
    modifiers(&Bearer),
)]
struct Base;

/// The session token of a wallet.
struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut Document) {
        let components = document.components.get_or_insert_default();
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        components.add_security_scheme("session", scheme);
    }
}

/// The document before its routes are added.
pub(super) fn base() -> Document {
    Base::openapi()
}

/// The whole document: every operation may fail with a problem document, and the streams stand beside the rest.
pub(super) fn finish(mut document: Document) -> Text {
    add_streams(&mut document);
    open_parts(&mut document);
    for item in document.paths.paths.values_mut() {
        for operation in [
            &mut item.get,
            &mut item.put,
            &mut item.post,
            &mut item.delete,
        ]
        .into_iter()
        .flatten()
        {
            let problem = ContentBuilder::new()
                .schema(Some(Ref::new(PROBLEM)))
                .build();
            let failure = ResponseBuilder::new()
                .description("What went wrong")
                .content("application/problem+json", problem);
            let responses = &mut operation.responses.responses;
            responses.insert("default".into(), failure.build().into());
        }
    }
    // Plain maps and texts, which always have a JSON form.
    Text(document.to_json().unwrap_or_default().into())
}

/// Lets the parts of a shape (`allOf`) stand side by side: one that allows no field but its own, as a body does that is
/// sent to us, would forbid those of the others.
fn open_parts(document: &mut Document) {
    let Some(components) = &mut document.components else {
        return;
    };
    let shapes = components.schemas.clone();
    for shape in components.schemas.values_mut() {
        let RefOr::T(Schema::AllOf(whole)) = shape else {
            continue;
        };
        for part in &mut whole.items {
            if let RefOr::Ref(reference) = part
                && let Some(name) = reference.ref_location.strip_prefix(SHAPES)
                && let Some(RefOr::T(Schema::Object(shape))) = shapes.get(name)
            {
                let mut shape = shape.clone();
                shape.additional_properties = None;
                *part = RefOr::T(Schema::Object(shape));
            }
        }
    }
}

/// The routes that are no plain requests and answers.
fn add_streams(document: &mut Document) {
    let socket = OperationBuilder::new()
        .operation_id(Some("socket"))
        .summary(Some(
            "The websocket, with the subprotocol ashya.v1 or ashya.v1.json",
        ))
        .response(
            "101",
            ResponseBuilder::new().description("The protocol is switched"),
        );
    let id = ObjectBuilder::new().schema_type(Type::String);
    let feed = ParameterBuilder::new()
        .name("id")
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .schema(Some(id.pattern(Some("^0x[0-9a-fA-F]{64}$"))));
    let id = ObjectBuilder::new().schema_type(Type::String);
    let last = ParameterBuilder::new()
        .name("Last-Event-ID")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(
            "The `id` of the last event that the client has; it gets what came after, and all that is kept of streams that it does not name",
        ))
        .schema(Some(id));
    let text = ObjectBuilder::new().schema_type(Type::String);
    let streams = ParameterBuilder::new()
        .name("streams")
        .parameter_in(ParameterIn::Query)
        .required(Required::False)
        .description(Some(
            "Names of streams, with commas between; all of the listing when absent",
        ))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)));
    let stream = ContentBuilder::new().schema(Some(text)).build();
    let events = OperationBuilder::new()
        .operation_id(Some("events"))
        .summary(Some("A feed as Server-Sent Events"))
        .parameter(feed)
        .parameter(streams)
        .parameter(last)
        .security(utoipa::openapi::security::SecurityRequirement::new(
            "session",
            Vec::<String>::new(),
        ))
        .response(
            "200",
            ResponseBuilder::new()
                .description("Events for as long as they are paid")
                .content("text/event-stream", stream),
        )
        .response(
            "400",
            ResponseBuilder::new().description(
                "`Last-Event-ID` is none that was given out, or the feed does not hold one of the streams",
            ),
        )
        .response(
            "401",
            ResponseBuilder::new().description("No token of a session that lasts"),
        )
        .response(
            "402",
            ResponseBuilder::new().description("Not paid: the problem holds the offer"),
        )
        .response("404", ResponseBuilder::new().description("No such feed"))
        .response(
            "409",
            ResponseBuilder::new().description(
                "Not paid, and nobody can pay: the feed is paused or retired; or the gateway shows no listing of it",
            ),
        )
        .response(
            "429",
            ResponseBuilder::new().description("The wallet has as many sockets open as it may"),
        );
    let paths = &mut document.paths.paths;
    paths.insert("/v1/ws".into(), PathItem::new(HttpMethod::Get, socket));
    let path = "/v1/feeds/{id}/events";
    paths.insert(path.into(), PathItem::new(HttpMethod::Get, events));
}

/// `GET /v1/openapi.json`
#[utoipa::path(
    get,
    path = "/v1/openapi.json",
    responses((status = 200, description = "This document", body = serde_json::Value))
)]
pub(super) async fn openapi(Extension(text): Extension<Text>) -> Response {
    let json = [(CONTENT_TYPE, "application/json")];
    (json, text.0.to_string()).into_response()
}
