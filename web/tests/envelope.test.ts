import { hexToBytes } from 'viem';
import { describe, expect, it } from 'vitest';
import { decodeEnvelope, MAX_ENVELOPE_BYTES, toHex } from '../src/client/envelope';
import { EnvelopeError, SignatureError } from '../src/client/errors';
import { eventDigest, verifyEvent } from '../src/client/typedData';
import { envelopes } from './vectors';

const { domain } = envelopes;

describe('golden envelopes', () => {
  it.each(envelopes.envelopes)('reads and verifies: $name', async ({ envelope, event, digest, signature }) => {
    const decoded = decodeEnvelope(hexToBytes(envelope));
    expect({ ...decoded, payload: toHex(decoded.payload), signature: toHex(decoded.signature) }).toMatchObject({
      device: event.device,
      stream: event.stream,
      boot: event.boot,
      seq: event.seq,
      timeUs: event.timeUs,
      contentType: event.contentType,
      payload: event.payload,
      signature,
    });
    expect(eventDigest(decoded, domain)).toBe(digest);
    expect((await verifyEvent(decoded, domain)).device).toBe(event.device);
  });

  it.each(envelopes.refused)('refuses: $name', ({ envelope }) => {
    expect(() => decodeEnvelope(hexToBytes(envelope))).toThrow(EnvelopeError);
  });
});

describe('hostile envelopes', () => {
  const [first] = envelopes.envelopes;
  if (!first) throw new Error('no vectors');
  const bytes = hexToBytes(first.envelope);

  it('are not believed for another chain or ledger', async () => {
    const decoded = decodeEnvelope(bytes);
    await expect(verifyEvent(decoded, { ...domain, chainId: 1 })).rejects.toThrow(SignatureError);
    await expect(verifyEvent(decoded, { ...domain, ledger: decoded.device })).rejects.toThrow(SignatureError);
  });

  it('are refused with any bit changed', async () => {
    let refused = 0;
    for (let index = 0; index < bytes.length; index += 1) {
      const changed = bytes.slice();
      changed[index] = (changed[index] ?? 0) ^ (1 << index % 8);
      try {
        await verifyEvent(decodeEnvelope(changed), domain);
      } catch (error) {
        expect(error instanceof EnvelopeError || error instanceof SignatureError).toBe(true);
        refused += 1;
      }
    }
    expect(refused).toBe(bytes.length);
  });

  it('are refused with a malleable or mis-numbered signature', async () => {
    const decoded = decodeEnvelope(bytes);
    const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
    const s = order - BigInt(toHex(decoded.signature.slice(32, 64)));
    const malleable = decoded.signature.slice();
    malleable.set(hexToBytes(`0x${s.toString(16).padStart(64, '0')}`), 32);
    malleable[64] = 55 - (malleable[64] ?? 0);
    const misnumbered = decoded.signature.slice();
    misnumbered[64] = (misnumbered[64] ?? 0) - 27;
    for (const signature of [malleable, misnumbered]) {
      await expect(verifyEvent({ ...decoded, signature }, domain)).rejects.toThrow(SignatureError);
    }
  });

  it('are refused when too long, before they are read', () => {
    expect(() => decodeEnvelope(new Uint8Array(MAX_ENVELOPE_BYTES + 1))).toThrow('more than an envelope may have');
  });

  it('are refused when a number is written as a fraction', () => {
    // The version 1 as a half-precision float: equal in JavaScript, not in bytes.
    const fractional = new Uint8Array([0x89, 0xf9, 0x3c, 0x00, ...bytes.slice(2)]);
    expect(() => decodeEnvelope(fractional)).toThrow('not deterministically encoded');
  });
});
