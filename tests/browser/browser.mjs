// What every browser test needs: chromium, the test wallet in the page, checks and pictures.

import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { build } from 'esbuild';
import { chromium } from 'playwright-core';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const require = createRequire(import.meta.url);

/** Milliseconds that the page may take for one step, on a busy machine. */
export const STEP_LIMIT = 20_000;

const FLAGS = [
  // Containers run as root and have a small /dev/shm.
  '--no-sandbox',
  '--disable-dev-shm-usage',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
];

/** Reads a variable that the Rust side sets. */
export function setting(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set; run this test with cargo test`);
  return value;
}

/** Runs `test` in a fresh browser. When it fails, it leaves a picture of the page and what the page said. */
export async function inBrowser(name, test) {
  const browser = await chromium.launch({ executablePath: setting('ASHYA_CHROMIUM'), args: FLAGS });
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  const said = [];
  context.on('console', (message) => said.push(`${message.type()}: ${message.text()}`));
  context.on('weberror', (error) => said.push(`error: ${error.error().stack}`));
  const page = await context.newPage();
  page.setDefaultTimeout(STEP_LIMIT);
  try {
    await test(page, context, said);
    console.log(`ok ${name}`);
  } catch (error) {
    await screenshot(page, `${name}-failed`).catch(() => {});
    console.error(`the page said:\n${said.join('\n')}\n`);
    throw error;
  } finally {
    await browser.close();
  }
}

/** Saves a picture of the page under target/screenshots. */
export async function screenshot(page, name) {
  const path = join(setting('ASHYA_SCREENSHOTS'), `${name}.png`);
  await page.screenshot({ path, fullPage: true });
  console.log(`picture ${path}`);
}

/** Puts the test wallet into every page of the context. */
export async function installWallet(context, options) {
  await context.addInitScript((given) => { window.testWalletOptions = given; }, options);
  await context.addInitScript({ content: await bundledWallet() });
}

/** Keeps the boxes of the last drawing of the canvas in `window.drawnBoxes`, in CSS pixels. */
export async function recordBoxes(context) {
  await context.addInitScript(() => {
    window.drawnBoxes = [];
    const { clearRect, strokeRect } = CanvasRenderingContext2D.prototype;
    let drawing = [];
    CanvasRenderingContext2D.prototype.clearRect = function (...place) {
      drawing = [];
      clearRect.apply(this, place);
    };
    CanvasRenderingContext2D.prototype.strokeRect = function (...place) {
      drawing.push(place);
      window.drawnBoxes = drawing;
      strokeRect.apply(this, place);
    };
  });
}

/** Waits until the wallet asks for `kind`, then decides. */
export async function decide(page, kind, decision) {
  await page
    .waitForFunction((wanted) => window.testWallet.pending()[0] === wanted, kind, { timeout: STEP_LIMIT })
    .catch(async () => {
      const pending = await page.evaluate(() => window.testWallet.pending());
      assert.fail(`the wallet was not asked for ${kind}; it was asked for ${JSON.stringify(pending)}`);
    });
  await page.evaluate((verb) => { window.testWallet[verb](); }, decision);
}

/** No serious fault in accessibility (axe-core, WCAG). */
export async function checkAccessibility(page, name) {
  await page.evaluate(readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8'));
  const { violations } = await page.evaluate(() => window.axe.run());
  const serious = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical');
  const told = serious.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html }) => html).join(' ')}`);
  assert.deepEqual(told, [], `accessibility of ${name}`);
}

/** How many pixels of a canvas differ from its first one, and how many have about a given colour. */
export async function canvasPixels(locator) {
  return locator.evaluate((canvas) => {
    const { width, height } = canvas;
    const { data } = canvas.getContext('2d').getImageData(0, 0, width, height);
    let different = 0;
    let opaque = 0;
    for (let i = 0; i < data.length; i += 4) {
      if (data[i] !== data[0] || data[i + 1] !== data[1] || data[i + 2] !== data[2]) different += 1;
      if (data[i + 3] !== 0) opaque += 1;
    }
    return { width, height, different, opaque };
  });
}

async function bundledWallet() {
  const result = await build({
    entryPoints: [join(HERE, 'wallet.js')],
    bundle: true,
    write: false,
    format: 'iife',
    platform: 'browser',
    define: { global: 'globalThis' },
    inject: [join(HERE, 'node-globals.js')],
    plugins: [{ name: 'no-micro-ftch', setup: withoutMicroFtch }],
    logLevel: 'warning',
  });
  return result.outputFiles[0].text;
}

/** A dependency of the wallet fetches token lists with parts of Node; nothing here ever asks it to. */
function withoutMicroFtch(bundler) {
  bundler.onResolve({ filter: /^micro-ftch$/ }, ({ path }) => ({ path, namespace: 'absent' }));
  bundler.onLoad({ filter: /.*/, namespace: 'absent' }, () => ({ contents: 'module.exports = {};', loader: 'js' }));
}
