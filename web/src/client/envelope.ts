import { decode, encode } from 'cborg';
import { EnvelopeError } from './errors';
import type { Address, Hex, Position } from './types';

/** Largest encoded envelope in bytes, as `protocol/src/limits.rs` has it. */
export const MAX_ENVELOPE_BYTES = 2 * 1024 * 1024;
/** Largest payload of one event in bytes. */
export const MAX_PAYLOAD_BYTES = MAX_ENVELOPE_BYTES - 512;
const VERSION = 1;
const STREAM_NAME = /^[a-z0-9-]{1,32}$/;
const CONTENT_TYPE = /^(?=.{3,127}$)[ -.0-~]+\/[ -~]+$/;

/** What a device saw or measured, with its signature; not yet verified. */
export interface Envelope extends Position {
  readonly device: Address;
  readonly stream: string;
  /** Microseconds since the Unix epoch at capture. */
  readonly timeUs: number;
  readonly contentType: string;
  readonly payload: Uint8Array;
  readonly signature: Uint8Array;
}

/**
 * Reads an envelope: a deterministically encoded CBOR array of nine elements (`protocol/envelope.cddl`).
 * Throws `EnvelopeError` for anything else; says nothing about the signature.
 */
export function decodeEnvelope(bytes: Uint8Array): Envelope {
  if (bytes.length > MAX_ENVELOPE_BYTES) throw new EnvelopeError(`${bytes.length} bytes are more than an envelope may have`);
  const fields = decodeCbor(bytes);
  if (!Array.isArray(fields) || fields.length !== 9) throw malformed('envelope');
  const [version, device, stream, boot, seq, timeUs, contentType, payload, signature] = fields as readonly unknown[];
  if (version !== VERSION) throw malformed('version');
  if (!isBytes(device, 20)) throw malformed('device');
  if (typeof stream !== 'string' || !STREAM_NAME.test(stream)) throw malformed('stream');
  if (!isPosition(boot)) throw malformed('boot');
  if (!isPosition(seq)) throw malformed('seq');
  if (!isPosition(timeUs)) throw malformed('timeUs');
  if (typeof contentType !== 'string' || !CONTENT_TYPE.test(contentType)) throw malformed('contentType');
  if (!(payload instanceof Uint8Array) || payload.length > MAX_PAYLOAD_BYTES) throw malformed('payload');
  if (!isBytes(signature, 65)) throw malformed('signature');
  // The strict decoder still takes 1.0 for 1, so the bytes are compared with their only proper form.
  if (!sameBytes(encode(fields), bytes)) throw new EnvelopeError('the envelope is not deterministically encoded');
  return { device: toHex(device), stream, boot, seq, timeUs, contentType, payload, signature };
}

/** Bytes as lower-case 0x-hex. */
export function toHex(bytes: Uint8Array): Hex {
  let text: Hex = '0x';
  for (const byte of bytes) text += byte.toString(16).padStart(2, '0');
  return text as Hex;
}

function decodeCbor(bytes: Uint8Array): unknown {
  try {
    return decode(bytes, { strict: true, allowIndefinite: false, allowUndefined: false, allowNaN: false, allowInfinity: false });
  } catch (cause) {
    throw new EnvelopeError('not CBOR in its deterministic form', { cause });
  }
}

function isBytes(value: unknown, length: number): value is Uint8Array {
  return value instanceof Uint8Array && value.length === length;
}

function isPosition(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && left.every((byte, index) => byte === right[index]);
}

function malformed(field: string): EnvelopeError {
  return new EnvelopeError(`malformed envelope at ${field}`);
}
