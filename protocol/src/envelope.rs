use std::sync::Arc;

use minicbor::data::Type;
use minicbor::{Decoder, Encoder};
use thiserror::Error;

use crate::event::Event;
use crate::ids::{Address, DeviceId};
use crate::keys::{DeviceKey, Signature, SignatureError};
use crate::limits::{MAX_ENVELOPE_BYTES, MAX_PAYLOAD_BYTES};
use crate::numbers::Position;
use crate::typed_data::Domain;

/// Version of the envelope that this crate writes and reads.
const VERSION: u8 = 1;
/// Elements of the outer CBOR array.
const FIELDS: u64 = 9;

/// An event with its signature, as it travels from the device to the subscriber.
///
/// On the wire it is a deterministically encoded CBOR array (RFC 8949, section 4.2.1) of nine elements; see
/// `envelope.cddl`. Equal envelopes have equal bytes, and bytes in any other form are refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The event.
    pub event: Event,
    /// Signature of [`Domain::event`] by the device's key.
    pub signature: Signature,
}

/// An envelope whose signature is by the device that it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedEvent(Envelope);

/// Why bytes are not an envelope.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EnvelopeError {
    /// More bytes than an envelope may have.
    #[error("{found} bytes are more than the {MAX_ENVELOPE_BYTES} that an envelope may have")]
    TooLarge {
        /// Bytes found.
        found: usize,
    },
    /// The payload is longer than a payload may be.
    #[error(
        "a payload of {found} bytes is more than the {MAX_PAYLOAD_BYTES} that an event may carry"
    )]
    PayloadTooLarge {
        /// Bytes found.
        found: usize,
    },
    /// Not the CBOR that the schema asks for.
    #[error("malformed envelope at {field}")]
    Malformed {
        /// The field that could not be read.
        field: &'static str,
    },
    /// A version that this crate does not know.
    #[error("envelope version {found}, expected {VERSION}")]
    Version {
        /// Version found.
        found: u8,
    },
    /// Readable, but not in the one deterministic form.
    #[error("the envelope is not deterministically encoded")]
    NotDeterministic,
}

/// Why an envelope is not by the device that it names.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum VerifyError {
    /// The signature names no signer.
    #[error("bad signature")]
    Signature(#[from] SignatureError),
    /// Somebody else signed.
    #[error("signed by {signer}, not by device {device}")]
    Signer {
        /// The device that the envelope names.
        device: DeviceId,
        /// Whoever signed it.
        signer: Address,
    },
}

impl Event {
    /// Signs the event with the device's key.
    pub fn sign(self, key: &DeviceKey, domain: &Domain) -> Envelope {
        let signature = key.sign(&domain.event(&self));
        Envelope {
            event: self,
            signature,
        }
    }
}

impl Envelope {
    /// Encodes the envelope in its one deterministic form.
    ///
    /// # Errors
    /// When the payload is longer than [`MAX_PAYLOAD_BYTES`].
    pub fn encode(&self) -> Result<Vec<u8>, EnvelopeError> {
        let payload = &self.event.payload;
        if payload.len() > MAX_PAYLOAD_BYTES {
            return Err(EnvelopeError::PayloadTooLarge {
                found: payload.len(),
            });
        }
        let mut encoder = Encoder::new(Vec::with_capacity(payload.len() + 256));
        write(self, &mut encoder).map_err(|_| EnvelopeError::Malformed { field: "envelope" })?;
        Ok(encoder.into_writer())
    }

    /// Reads an envelope. Checks its shape, not its signature; allocates no more than the bytes given.
    ///
    /// # Errors
    /// When the bytes are too many, malformed, of another version, or not deterministically encoded.
    pub fn decode(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        if bytes.len() > MAX_ENVELOPE_BYTES {
            return Err(EnvelopeError::TooLarge { found: bytes.len() });
        }
        let envelope = read(&mut Decoder::new(bytes))?;
        if envelope.encode()? != bytes {
            return Err(EnvelopeError::NotDeterministic);
        }
        Ok(envelope)
    }

    /// Checks that the device which the envelope names has signed it for this chain and ledger.
    ///
    /// # Errors
    /// When the signature is malformed or somebody else's.
    pub fn verify(self, domain: &Domain) -> Result<VerifiedEvent, VerifyError> {
        let signer = self.signature.recover(&domain.event(&self.event))?;
        if signer != self.event.device.address() {
            return Err(VerifyError::Signer {
                device: self.event.device,
                signer,
            });
        }
        Ok(VerifiedEvent(self))
    }
}

impl VerifiedEvent {
    /// An envelope that [`Envelope::verify`] has passed before, and that was kept since where nobody else writes. Checks
    /// nothing.
    pub const fn checked_before(envelope: Envelope) -> Self {
        Self(envelope)
    }

    /// The event.
    pub fn event(&self) -> &Event {
        &self.0.event
    }

    /// The device's signature.
    pub fn signature(&self) -> &Signature {
        &self.0.signature
    }
}

fn write(
    envelope: &Envelope,
    out: &mut Encoder<Vec<u8>>,
) -> Result<(), minicbor::encode::Error<std::convert::Infallible>> {
    let event = &envelope.event;
    out.array(FIELDS)?
        .u8(VERSION)?
        .bytes(event.device.as_bytes())?
        .str(event.stream.as_str())?
        .u64(event.position.boot.get())?
        .u64(event.position.seq.get())?
        .u64(event.time_us.get())?
        .str(event.content_type.as_str())?
        .bytes(&event.payload)?
        .bytes(envelope.signature.as_bytes())?;
    Ok(())
}

fn read(input: &mut Decoder<'_>) -> Result<Envelope, EnvelopeError> {
    if input.array().ok().flatten() != Some(FIELDS) {
        return Err(malformed("envelope"));
    }
    let version = input.u8().map_err(|_| malformed("version"))?;
    if version != VERSION {
        return Err(EnvelopeError::Version { found: version });
    }
    let device = DeviceId::new(fixed(input, "device")?);
    let stream = text(input, "stream")?
        .parse()
        .map_err(|_| malformed("stream"))?;
    let boot = number(input, "boot")?
        .try_into()
        .map_err(|_| malformed("boot"))?;
    let seq = number(input, "seq")?
        .try_into()
        .map_err(|_| malformed("seq"))?;
    let time_us = number(input, "timeUs")?
        .try_into()
        .map_err(|_| malformed("timeUs"))?;
    let content_type = text(input, "contentType")?
        .parse()
        .map_err(|_| malformed("contentType"))?;
    let payload = byte_string(input, "payload")?;
    if payload.len() > MAX_PAYLOAD_BYTES {
        return Err(EnvelopeError::PayloadTooLarge {
            found: payload.len(),
        });
    }
    let payload = Arc::from(payload);
    let signature = Signature::new(fixed(input, "signature")?);
    let event = Event {
        device,
        stream,
        position: Position { boot, seq },
        time_us,
        content_type,
        payload,
    };
    Ok(Envelope { event, signature })
}

fn malformed(field: &'static str) -> EnvelopeError {
    EnvelopeError::Malformed { field }
}

fn number(input: &mut Decoder<'_>, field: &'static str) -> Result<u64, EnvelopeError> {
    input.u64().map_err(|_| malformed(field))
}

fn text<'b>(input: &mut Decoder<'b>, field: &'static str) -> Result<&'b str, EnvelopeError> {
    input.str().map_err(|_| malformed(field))
}

fn byte_string<'b>(
    input: &mut Decoder<'b>,
    field: &'static str,
) -> Result<&'b [u8], EnvelopeError> {
    // An indefinite-length string would need joining; the deterministic form has none.
    match input.datatype() {
        Ok(Type::Bytes) => input.bytes().map_err(|_| malformed(field)),
        _ => Err(malformed(field)),
    }
}

fn fixed<const N: usize>(
    input: &mut Decoder<'_>,
    field: &'static str,
) -> Result<[u8; N], EnvelopeError> {
    byte_string(input, field)?
        .try_into()
        .map_err(|_| malformed(field))
}

#[cfg(test)]
mod tests;
