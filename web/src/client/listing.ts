import { keccak256, stringToBytes } from 'viem';
import type { Hex } from './types';

/** Hash of a listing's canonical text, as the ledger holds it and `subscribe` names it. */
export function listingHash(document: string): Hex {
  return keccak256(stringToBytes(document));
}
