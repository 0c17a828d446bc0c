// What every peer is asked to do: sell thirty days at 0.001 ETH an hour.
export const PRICE = 277_777_777_777n;
export const DAY = 86_400;
export const MONTH = 30 * DAY;
export const MONTH_COST = PRICE * BigInt(MONTH);

/** The provider, the first buyer, those who keep the feed busy, and two who come later. */
export function people(chain) {
  const [deployer, provider, first, later, last, ...busy] = chain.accounts;
  return { deployer, provider, first, later, last, busy: busy.slice(0, 20) };
}
