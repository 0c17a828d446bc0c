#!/usr/bin/env node
// Writes gas/snapshot.json: what each call of the ledger costs as a transaction of its own. With `--check` it writes
// nothing and fails when a call costs more than 1% above the committed figure, or when the two name different calls.
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { contracts, forge } from '../tools/forge.mjs';

const COMMITTED = join(contracts, 'gas', 'snapshot.json');
// Where the tests leave it: `snapshots` in foundry.toml.
const MEASURED = join(contracts, 'out', 'gas', 'FeedLedger.json');
const TOLERANCE_PERCENT = 1;
const UPDATE = 'run `npm run gas -w contracts` and commit gas/snapshot.json';

const read = (file) => (existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {});

function measure() {
  rmSync(MEASURED, { force: true });
  const status = forge('test', '--match-contract', 'GasSnapshot', '--silent');
  if (status !== 0) throw new Error('the tests of the snapshot fail: node tools/forge.mjs test --match-contract GasSnapshot');
  const calls = Object.entries(read(MEASURED)).map(([call, gas]) => [call, Number(gas)]);
  if (calls.length === 0) throw new Error(`the tests wrote nothing to ${MEASURED}`);
  return Object.fromEntries(calls);
}

/** One finding for each call, and whether it is a reason to fail. */
function compare(committed, measured) {
  const calls = [...new Set([...Object.keys(committed), ...Object.keys(measured)])].sort();
  return calls.flatMap((call) => {
    const [before, after] = [committed[call], measured[call]];
    if (before === undefined) return [{ fails: true, text: `${call}: not in gas/snapshot.json` }];
    if (after === undefined) return [{ fails: true, text: `${call}: no longer measured` }];
    if (before === after) return [];
    const percent = ((after - before) * 100) / before;
    const change = `${call}: ${before} to ${after} gas, ${percent > 0 ? '+' : ''}${percent.toFixed(2)}%`;
    return [{ fails: percent > TOLERANCE_PERCENT, text: change }];
  });
}

function check(measured) {
  const findings = compare(read(COMMITTED), measured);
  for (const { fails, text } of findings) console.log(`${fails ? 'FAIL' : 'note'}  ${text}`);
  const failed = findings.filter(({ fails }) => fails).length;
  const result = `${Object.keys(measured).length} calls, ${findings.length} changed, ${failed} beyond ${TOLERANCE_PERCENT}%`;
  console.log(findings.length === 0 ? result : `${result}. If the change is wanted, ${UPDATE}`);
  return failed === 0 ? 0 : 1;
}

function main(onlyCheck) {
  const measured = measure();
  if (onlyCheck) return check(measured);
  writeFileSync(COMMITTED, `${JSON.stringify(measured, null, 2)}\n`);
  console.log(`${Object.keys(measured).length} calls written to gas/snapshot.json`);
  return 0;
}

process.exitCode = main(process.argv.includes('--check'));
