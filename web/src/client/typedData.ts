import { hashTypedData, keccak256, type TypedDataDomain } from 'viem';
import { recoverAddress } from 'viem/utils';
import { toHex, type Envelope } from './envelope';
import { SignatureError } from './errors';
import type { Address, Domain, Hex } from './types';

/** The EIP-712 types of everything that is signed in Ashya, as `protocol/src/typed_data.rs` has them. */
export const types = {
  Event: [
    { name: 'device', type: 'address' },
    { name: 'stream', type: 'string' },
    { name: 'boot', type: 'uint64' },
    { name: 'seq', type: 'uint64' },
    { name: 'timeUs', type: 'uint64' },
    { name: 'contentType', type: 'string' },
    { name: 'payloadHash', type: 'bytes32' },
  ],
} as const;

const HALF_ORDER = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0n;
const verified: unique symbol = Symbol('verified');

/** An event that the device which it names has signed. Only `verifyEvent` makes one. */
export type VerifiedEvent = Envelope & { readonly [verified]: true };

/** The EIP-712 domain of one ledger on one chain. */
export function domainOf({ chainId, ledger }: Domain): TypedDataDomain {
  return { name: 'Ashya', version: '1', chainId, verifyingContract: ledger };
}

/** Digest of an event, which the device's key signs. */
export function eventDigest(event: Omit<Envelope, 'signature'>, domain: Domain): Hex {
  return hashTypedData({
    domain: domainOf(domain),
    types,
    primaryType: 'Event',
    message: {
      device: event.device,
      stream: event.stream,
      boot: BigInt(event.boot),
      seq: BigInt(event.seq),
      timeUs: BigInt(event.timeUs),
      contentType: event.contentType,
      payloadHash: keccak256(event.payload),
    },
  });
}

/** Checks that the device which the envelope names has signed it for this chain and ledger; throws `SignatureError`. */
export async function verifyEvent(envelope: Envelope, domain: Domain): Promise<VerifiedEvent> {
  const signer = await signerOf(envelope, domain);
  if (signer !== envelope.device) throw new SignatureError(envelope.device, signer);
  return { ...envelope, [verified]: true };
}

async function signerOf(envelope: Envelope, domain: Domain): Promise<Address | null> {
  const signature = toHex(envelope.signature);
  const recovery = envelope.signature[64];
  // One signature, one form: only 27 and 28, and only the lower half of s (EIP-2), as everywhere in Ashya.
  if ((recovery !== 27 && recovery !== 28) || BigInt(`0x${signature.slice(66, 130)}`) > HALF_ORDER) return null;
  try {
    const signer = await recoverAddress({ hash: eventDigest(envelope, domain), signature });
    return signer.toLowerCase() as Address;
  } catch {
    return null;
  }
}
