#!/usr/bin/env node
// Measures the ledger beside other ways to sell time, all on one local chain in one run, and writes the table of
// docs/gas.md. It fetches the peers' published packages the first time.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';

import { Chain } from './chain.mjs';
import { PACKAGES } from './packages.mjs';
import { ashya } from './peers/ashya.mjs';
import { erc5643 } from './peers/erc5643.mjs';
import { escrow } from './peers/escrow.mjs';
import { sablier } from './peers/sablier.mjs';
import { superfluid } from './peers/superfluid.mjs';
import { unlock } from './peers/unlock.mjs';

const DOCUMENT = new URL('../../docs/gas.md', import.meta.url);
const [BEGIN, END] = ['<!-- begin: npm run gas:peers -w contracts -->', '<!-- end -->'];

const gas = (number) => number.toLocaleString('en-US');
const either = (figures) => figures.map(gas).join(' / ');
const withSteps = (names) => ([main, ...steps]) => [gas(main), ...steps.map((step, i) => `${names[i]} ${gas(step)}`)].join(' + ');

const ROWS = [
  { name: '**Ashya FeedLedger**', measure: ashya },
  { name: 'Bare escrow, no buckets', measure: escrow },
  { name: 'ERC-5643 on OpenZeppelin 5.7', measure: erc5643 },
  { name: `Unlock PublicLock v15 (${PACKAGES.unlock.version})`, measure: unlock },
  {
    name: `Sablier Flow ${PACKAGES.sablier.version}`,
    measure: sablier,
    steps: { buy: withSteps(['wrap', 'approve']), out: withSteps(['unwrap']) },
  },
  {
    name: `Superfluid ${PACKAGES.superfluid.version}, native`,
    measure: superfluid,
    steps: { buy: withSteps(['upgrade']), out: withSteps(['downgrade']) },
  },
];

async function measureAll() {
  const chain = await Chain.start();
  try {
    const lines = [];
    for (const { name, measure, steps = { buy: either, out: either } } of ROWS) {
      console.error(`measuring ${name}`);
      const { first, later, renew, cancel, withdraw } = await measure(chain);
      lines.push([name, steps.buy(first), steps.buy(later), steps.buy(renew), steps.out(cancel), steps.out(withdraw)]);
    }
    return lines;
  } finally {
    await chain.stop();
  }
}

function table(lines) {
  const git = (...args) => execFileSync('git', args, { encoding: 'utf8' }).trim();
  const changed = git('status', '--porcelain', '--', 'src', 'abi', 'gas') === '' ? '' : ', with changes that are not committed';
  const header = ['', 'first buyer', 'later new buyer', 'renew', 'cancel with refund', 'provider withdraws'];
  const rows = [header, header.map((_, i) => (i === 0 ? '---' : '---:')), ...lines];
  const text = rows.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
  return `Measured at commit ${git('rev-parse', '--short=12', 'HEAD')}${changed}.\n\n${text}`;
}

const lines = await measureAll();
const [before, rest] = readFileSync(DOCUMENT, 'utf8').split(BEGIN);
const after = rest?.split(END)[1];
if (after === undefined) throw new Error(`docs/gas.md lacks the lines ${BEGIN} and ${END}`);
writeFileSync(DOCUMENT, `${before}${BEGIN}\n${table(lines)}\n${END}${after}`);
console.log(table(lines));
