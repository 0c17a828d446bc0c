import { readFileSync } from 'node:fs';
import type { Address, Domain, Hex } from '../src/client/types';

/** An event of the golden vectors, which an independent implementation made. */
export interface VectorEvent {
  readonly device: Address;
  readonly stream: string;
  readonly boot: number;
  readonly seq: number;
  readonly timeUs: number;
  readonly contentType: string;
  readonly payload: Hex;
}

export interface TypedDataVectors {
  readonly domain: Domain;
  readonly separator: Hex;
  readonly event: VectorEvent & { readonly digest: Hex; readonly signature: Hex };
  readonly feedListing: { readonly document: string; readonly listing: Hex };
}

export interface EnvelopeVectors {
  readonly domain: Domain;
  readonly envelopes: readonly {
    readonly name: string;
    readonly event: VectorEvent;
    readonly digest: Hex;
    readonly signature: Hex;
    readonly envelope: Hex;
  }[];
  readonly refused: readonly { readonly name: string; readonly envelope: Hex }[];
}

export function readJson<T>(path: string): T {
  return JSON.parse(readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')) as T;
}

export const typedData = readJson<TypedDataVectors>('protocol/vectors/typed_data.json');
export const envelopes = readJson<EnvelopeVectors>('protocol/vectors/envelopes.json');
