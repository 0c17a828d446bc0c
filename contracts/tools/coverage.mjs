#!/usr/bin/env node
// Measures how much of src/ the tests run, and fails below 100% of lines, statements, branches or functions.
import { spawnSync } from 'node:child_process';
import { realpathSync } from 'node:fs';
import { join } from 'node:path';

import { contracts, forgeBinary } from './forge.mjs';

const MEASURES = ['lines', 'statements', 'branches', 'functions'];
// The limits of gas are those of the optimised bytecode; a campaign of invariants proves no line that others do not run.
const ELSEWHERE = ['--no-match-contract', 'Gas|Scale|Flood|Invariants|Symbolic|Check'];

/** Forge's coverage does not find relative imports below `../`, so the libraries are named by absolute paths. */
function remappings() {
  const libraries = realpathSync(join(contracts, '..', 'node_modules'));
  return [
    `@openzeppelin/contracts/=${libraries}/@openzeppelin/contracts/`,
    `solady/=${libraries}/solady/src/`,
    `forge-std/=${libraries}/@layerzerolabs/toolbox-foundry/lib/forge-std/`,
  ].flatMap((remapping) => ['-R', remapping]);
}

/** `| src/A.sol | 100.00% (88/88) | ...`: the counts, because a percentage is rounded. */
function gapsOf(line) {
  const file = line.split('|')[1].trim();
  const counts = [...line.matchAll(/\((\d+)\/(\d+)\)/g)].map(([, hit, all]) => [Number(hit), Number(all)]);
  if (counts.length !== MEASURES.length) return [`${file}: no figures`];
  return counts.flatMap(([hit, all], index) => (hit === all ? [] : [`${file}: ${all - hit} ${MEASURES[index]} not run`]));
}

function main() {
  const args = ['coverage', '--report', 'summary', '--exclude-tests', ...ELSEWHERE, ...remappings()];
  const { status, stdout, stderr } = spawnSync(forgeBinary(), args, {
    cwd: contracts,
    encoding: 'utf8',
    env: { ...process.env, FOUNDRY_PROFILE: 'coverage' },
    maxBuffer: 2 ** 28,
  });
  if (status !== 0) {
    console.error(stdout, stderr);
    return 1;
  }
  const rows = stdout.split('\n').filter((line) => /^\| src\//.test(line));
  console.log(stdout.slice(stdout.lastIndexOf('\n╭')).trim());
  const gaps = rows.length === 0 ? ['the report names no source file'] : rows.flatMap(gapsOf);
  gaps.forEach((gap) => console.error(gap));
  return gaps.length === 0 ? 0 : 1;
}

process.exitCode = main();
