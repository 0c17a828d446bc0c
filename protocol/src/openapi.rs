//! How the types of the REST interface stand in an OpenAPI 3.1 document (feature `openapi`).

use std::borrow::Cow;

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::hash::Hash;
use crate::ids::{Address, DeviceId, FeedId};
use crate::keys::Signature;
use crate::names::{FeedName, StreamName};
use crate::numbers::Wei;

fn text(pattern: &str, words: &str) -> RefOr<Schema> {
    let text = ObjectBuilder::new().schema_type(Type::String);
    let text = text.pattern(Some(pattern)).description(Some(words));
    RefOr::T(Schema::Object(text.build()))
}

macro_rules! texts {
    ($($name:ident: $pattern:literal, $words:literal;)*) => {$(
        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                text($pattern, $words)
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                stringify!($name).into()
            }
        }
    )*};
}

texts! {
    Address: "^0x[0-9a-fA-F]{40}$", "An Ethereum address.";
    DeviceId: "^0x[0-9a-fA-F]{40}$", "A device: the Ethereum address of its key.";
    FeedId: "^0x[0-9a-fA-F]{64}$", "A feed on the ledger.";
    Hash: "^0x[0-9a-fA-F]{64}$", "A keccak256 hash.";
    Signature: "^0x[0-9a-fA-F]{130}$", "A 65-byte ECDSA signature: r, s, v.";
    FeedName: "^[ -~]{1,32}$", "The name of a feed.";
    StreamName: "^[a-z0-9-]{1,32}$", "The name of a stream, such as `detections`.";
    Wei: "^[0-9]{1,39}$", "An amount in wei, decimal.";
}
