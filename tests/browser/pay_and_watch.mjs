// A visitor with a wallet: connects, pays, watches, cancels. The wallet asks before each step, and is refused twice.

import { strict as assert } from 'node:assert';

import { createPublicClient, http } from 'viem';
import { privateKeyToAddress } from 'viem/accounts';

import {
  STEP_LIMIT, canvasPixels, checkAccessibility, decide, inBrowser, installWallet, recordBoxes, screenshot, setting,
} from './browser.mjs';

const PAGE = setting('ASHYA_PAGE');
const FEED = setting('ASHYA_FEED');
const PRICE = BigInt(setting('ASHYA_PRICE'));
const KEYS = setting('ASHYA_KEYS').split(',').map((key) => key.trim());
const ADDRESSES = KEYS.map((key) => privateKeyToAddress(key));
const HOUR = 3_600;
const ELSEWHERE = 1_337;

const chain = createPublicClient({ cacheTime: 0, transport: http(setting('ASHYA_RPC')) });

await inBrowser('pay-and-watch', async (page, context, said) => {
  const at = (id) => page.getByTestId(id);
  await recordBoxes(context);
  // The wallet stands on another chain and has never heard of this one.
  await installWallet(context, { keys: KEYS, chainId: ELSEWHERE, chains: { [ELSEWHERE]: setting('ASHYA_OTHER_RPC') } });

  await page.goto(PAGE);
  await at(`feed-${FEED}`).waitFor();
  assert.equal(await at('price-hour').innerText(), inEth(PRICE * 3_600n), 'price of an hour');
  await checkAccessibility(page, 'the list of feeds');
  await screenshot(page, '1-feeds');
  await at(`feed-${FEED}`).click();
  await page.locator('[data-testid=listing-check][data-check=same]').waitFor();

  // Declining to connect is no drama and can be undone.
  await at('connect').click();
  await at('wallet-test.ashya.wallet').click();
  await decide(page, 'connect', 'reject');
  await page.locator('[data-testid=wallet-status][data-tone=calm]').waitFor();
  await at('wallet-test.ashya.wallet').click();
  await decide(page, 'connect', 'approve');
  await expectAccount(page, ADDRESSES[0]);

  await page.locator(`label:has([data-testid=duration-${HOUR}])`).last().click();
  assert.equal(await at('price-total').innerText(), inEth(PRICE * BigInt(HOUR)), 'total');
  await checkAccessibility(page, 'a feed before paying');
  await screenshot(page, '2-offer');

  const before = await chain.getBalance({ address: ADDRESSES[0] });
  await at('pay').click();
  await decide(page, 'add-chain', 'approve');
  await decide(page, 'sign', 'approve');
  await decide(page, 'transaction', 'reject');
  const declined = page.locator('[data-testid=status][data-tone=calm]');
  await declined.waitFor();
  assert.equal(await chain.getBalance({ address: ADDRESSES[0] }), before, 'a refusal costs nothing');
  assert.equal(await at('pay').isEnabled(), true, 'paying can be tried again');
  await screenshot(page, '3-declined');

  await at('pay').click();
  // Chain and sign-in are kept: the wallet is asked for the payment alone.
  await decide(page, 'transaction', 'approve');
  await page.locator('[data-testid=live-status][data-phase=live]').waitFor();
  await expectLive(page);
  const left = Number(await at('time-left').getAttribute('data-seconds'));
  assert.ok(left > HOUR - 60 && left <= HOUR, `time left ${left}`);
  await checkAccessibility(page, 'a feed while watching');
  await screenshot(page, '4-watching');

  const paid = await feesOf(ADDRESSES[0]);
  await at('cancel').click();
  await decide(page, 'transaction', 'approve');
  await at('refund').waitFor({ state: 'attached' });
  const refund = BigInt(await at('refund').getAttribute('data-wei'));
  const fees = await feesOf(ADDRESSES[0]);
  assert.ok(fees > paid, 'two transactions were paid for');
  const after = await chain.getBalance({ address: ADDRESSES[0] });
  assert.equal(after, before - PRICE * BigInt(HOUR) + refund - fees, 'the balance after the refund, to the wei');
  assert.ok(refund % PRICE === 0n && refund > PRICE * BigInt(HOUR - 60), `refund of ${refund}`);
  await page.locator('[data-testid=live-status][data-phase=ended]').waitFor();
  await page.locator('[data-testid=status][data-tone=good]').waitFor();
  const seen = await at('event-count').innerText();
  assert.match(seen, /[1-9]/, 'events were counted');
  await checkAccessibility(page, 'a feed after cancelling');
  await screenshot(page, '5-cancelled');
  assert.equal(await at('event-count').innerText(), seen, 'no event after the end');

  // Another account has its own name, and nothing of the first one's.
  await page.evaluate(() => window.testWallet.useAccount(1));
  await expectAccount(page, ADDRESSES[1]);
  await at('pay').waitFor();
  assert.equal(await at('cancel').count(), 0, 'the second account has nothing to cancel');

  const errors = said.filter((line) => line.startsWith('error'));
  // The wallet's provider reports the refusals to the console, as MetaMask's does.
  assert.deepEqual(errors.filter((line) => !line.includes('MetaMask - RPC Error')), [], 'errors on the page');
});

/** Pictures, boxes, labels and a badge that says that every event was signed. */
async function expectLive(page) {
  const canvas = page.locator('[data-testid=canvas]:not([data-boxes="0"])');
  await canvas.waitFor();
  await page.waitForFunction(
    () => {
      const { seq, pictureSeq } = document.querySelector('[data-testid=canvas]').dataset;
      return seq !== undefined && seq === pictureSeq && window.drawnBoxes.length > 0;
    },
    undefined,
    { timeout: STEP_LIMIT },
  );
  const { width, height, different, opaque } = await canvasPixels(page.getByTestId('canvas'));
  assert.ok(opaque === width * height && different > 0.2 * opaque, `a canvas with a picture: ${different} of ${opaque}`);
  const boxes = await page.evaluate(() => window.drawnBoxes);
  const bounds = await page.getByTestId('canvas').evaluate(({ clientWidth, clientHeight }) => [clientWidth, clientHeight]);
  for (const [x, y, w, h] of boxes) {
    const inside = x >= -1 && y >= -1 && x + w <= bounds[0] + 1 && y + h <= bounds[1] + 1 && w > 4 && h > 4;
    assert.ok(inside, `a box at ${[x, y, w, h]} in a canvas of ${bounds}`);
  }
  const labels = await page.getByTestId('seen-now').innerText();
  assert.match(labels, /person|car|bus|truck|bicycle|dog/, 'labels in the list');
  const badge = page.getByTestId('verified-badge');
  assert.ok(Number(await badge.getAttribute('data-verified')) > 0, 'verified events');
  assert.equal(await badge.getAttribute('data-refused'), '0', 'refused events');
}

async function expectAccount(page, address) {
  await page.locator(`[data-testid=account][title="${address.toLowerCase()}"]`).waitFor();
}

/** What an account has paid for gas since the chain began, in wei. */
async function feesOf(address) {
  let total = 0n;
  for (let number = await chain.getBlockNumber(); number > 0n; number -= 1n) {
    const { transactions } = await chain.getBlock({ blockNumber: number, includeTransactions: true });
    for (const { from, hash } of transactions) {
      if (from.toLowerCase() !== address.toLowerCase()) continue;
      const { gasUsed, effectiveGasPrice } = await chain.getTransactionReceipt({ hash });
      total += gasUsed * effectiveGasPrice;
    }
  }
  return total;
}

/** An amount as the page writes it: four significant digits. */
function inEth(wei) {
  return `${Number((Number(wei) / 1e18).toPrecision(4))} ETH`;
}
