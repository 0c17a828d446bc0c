// A visitor without a wallet: two clicks from the list of feeds to the live picture, with play money.

import { strict as assert } from 'node:assert';

import { checkAccessibility, inBrowser, screenshot, setting } from './browser.mjs';

const FEED = setting('ASHYA_FEED');

await inBrowser('demo-wallet', async (page, _context, said) => {
  const at = (id) => page.getByTestId(id);
  await page.goto(setting('ASHYA_PAGE'));

  await at(`feed-${FEED}`).click();
  const note = await at('demo-note').innerText();
  assert.match(note, /play money/i, 'the demo wallet is marked as such');
  await at('pay').click();

  await page.locator('[data-testid=live-status][data-phase=live]').waitFor();
  await page.locator('[data-testid=canvas]:not([data-boxes="0"])').waitFor();
  assert.match(await at('demo-banner').innerText(), /play money/i);
  assert.equal(await at('verified-badge').getAttribute('data-refused'), '0');
  await checkAccessibility(page, 'the demo wallet');
  await screenshot(page, 'demo-wallet');
  assert.deepEqual(said.filter((line) => line.startsWith('error')), [], 'errors on the page');
});
