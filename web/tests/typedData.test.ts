import { domainSeparator, hexToBytes, keccak256, stringToBytes } from 'viem';
import { describe, expect, it } from 'vitest';
import { listingHash } from '../src/client/listing';
import { listingShape } from '../src/client/messages';
import { parseJson } from '../src/client/shape';
import { domainOf, eventDigest, verifyEvent } from '../src/client/typedData';
import { typedData } from './vectors';

describe('typed data', () => {
  const { domain, event, feedListing } = typedData;
  const envelope = { ...event, payload: hexToBytes(event.payload), signature: hexToBytes(event.signature) };

  it('has the domain of the golden vectors', () => {
    expect(domainSeparator({ domain: domainOf(domain) })).toBe(typedData.separator);
  });

  it('digests an event as the golden vectors do, and finds its signer', async () => {
    expect(eventDigest(envelope, domain)).toBe(event.digest);
    expect((await verifyEvent(envelope, domain)).seq).toBe(event.seq);
  });

  it('hashes a listing by the exact text that was served', () => {
    expect(listingHash(feedListing.document)).toBe(feedListing.listing);
    expect(keccak256(stringToBytes(`${feedListing.document} `))).not.toBe(feedListing.listing);
    expect(parseJson(feedListing.document, listingShape, 'listing').streams.length).toBeGreaterThan(0);
  });
});
