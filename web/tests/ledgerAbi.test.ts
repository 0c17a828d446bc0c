import { describe, expect, it } from 'vitest';
import { ledgerAbi } from '../src/client/ledgerAbi';
import { readJson } from './vectors';

describe('the ledger as this client knows it', () => {
  it('is a part of the committed ABI, with all of its errors', () => {
    const { abi } = readJson<{ abi: readonly { readonly type: string }[] }>('contracts/abi/FeedLedger.json');
    for (const entry of ledgerAbi) expect(abi).toContainEqual(entry);
    expect(ledgerAbi.filter(({ type }) => type === 'error').length).toBe(abi.filter(({ type }) => type === 'error').length);
  });
});
