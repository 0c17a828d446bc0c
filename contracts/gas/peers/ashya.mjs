import { readFileSync } from 'node:fs';
import { keccak256, encodeAbiParameters, stringToHex } from 'viem';

import { MONTH, PRICE, people } from './market.mjs';

const ARTIFACT = new URL('../../abi/FeedLedger.json', import.meta.url);
const HOUR = 3_600;
const ALL = 2n ** 256n - 1n;
const NAME = stringToHex('front door', { size: 32 });
const LISTING = keccak256(stringToHex('listing'));
const AUTHORIZATION = [
  { name: 'device', type: 'address' },
  { name: 'name', type: 'bytes32' },
  { name: 'owner', type: 'address' },
  { name: 'deadline', type: 'uint64' },
];

/** One feed; the busy buyers' subscriptions end one hour after another, a month ahead. */
export async function ashya(chain) {
  const { deployer: device, provider, first, later, last, busy } = people(chain);
  const artifact = JSON.parse(readFileSync(ARTIFACT, 'utf8'));
  const ledger = chain.at(await chain.deploy(artifact), artifact.abi);
  const deadline = chain.next + BigInt(HOUR);
  const signature = await chain.signTypedData(device, {
    domain: { name: 'Ashya', version: '1', chainId: 31_337, verifyingContract: ledger.address },
    types: { FeedAuthorization: AUTHORIZATION },
    primaryType: 'FeedAuthorization',
    message: { device, name: NAME, owner: provider, deadline },
  });
  const opened = chain.next;
  await ledger.call(provider, 'openFeed', [device, NAME, PRICE, provider, provider, LISTING, deadline, signature]);
  const feed = keccak256(encodeAbiParameters([{ type: 'address' }, { type: 'bytes32' }], [device, NAME]));

  /** Subscribes until the given second of feed time. */
  const buy = (who, until) => {
    const duration = BigInt(until) - (chain.next - opened);
    return ledger.call(who, 'subscribe', [feed, who, duration, PRICE, LISTING], PRICE * duration);
  };
  const lengthen = (who, seconds) => ledger.call(who, 'extend', [feed, who, seconds], PRICE * BigInt(seconds));
  const collect = () => ledger.call(provider, 'withdraw', [feed, ALL]);

  const buyFirst = await buy(first, MONTH);
  for (const [index, buyer] of busy.entries()) await buy(buyer, MONTH + (index + 1) * HOUR);
  const intoFreshHour = await buy(later, MONTH - HOUR);
  const intoUsedHour = await buy(last, MONTH + 2 * HOUR);
  const renewFreshHour = await lengthen(last, 24 * HOUR);
  const renewUsedHour = await lengthen(first, 5 * HOUR);
  const cancel = await ledger.call(later, 'cancel', [feed, later, later]);
  await chain.wait(2 * HOUR);
  const withdraw = await collect();
  await chain.wait(MONTH + 6 * HOUR);
  const withdrawLater = await collect();
  return {
    first: [buyFirst],
    later: [intoUsedHour, intoFreshHour],
    renew: [renewUsedHour, renewFreshHour],
    cancel: [cancel],
    withdraw: [withdraw, withdrawLater],
  };
}
