// Takes the part of the ledger's committed ABI that a buyer needs and writes it as a typed constant:
// an imported JSON file has no literal types, and viem checks calls against them.
import { readFile, writeFile } from 'node:fs/promises';

const source = new URL('../../contracts/abi/FeedLedger.json', import.meta.url);
const target = new URL('../src/client/ledgerAbi.ts', import.meta.url);
const functions = ['subscribe', 'extend', 'cancel', 'clockOf', 'feedOf', 'subscriptionOf'];
const events = ['SubscriptionSet'];

/** Whether a buyer meets this entry. Every error counts: a refusal must be shown by name. */
export function isNeeded(entry) {
  if (entry.type === 'error') return true;
  return (entry.type === 'function' && functions.includes(entry.name)) || (entry.type === 'event' && events.includes(entry.name));
}

const { abi } = JSON.parse(await readFile(source, 'utf8'));
const text = `// Written by \`npm run -w web abi\` from contracts/abi/FeedLedger.json.

/** What a buyer needs of the interface of \`FeedLedger\`. */
export const ledgerAbi = ${JSON.stringify(abi.filter(isNeeded), null, 2)} as const;
`;
await writeFile(target, text);
