#!/usr/bin/env node
// Writes abi/*.json, from which Rust and the web app build without a Solidity compiler. With `--check` it writes
// nothing and fails when the committed files differ from a fresh compile.
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { contracts, forge } from './forge.mjs';

const CONTRACTS = ['FeedLedger', 'VerifySignature'];
const OUT = 'out/artifacts';

/** Names the sources, so that even without a compiler a test can tell that the artifacts are stale. */
function sourceHash() {
  const hash = createHash('sha256');
  const folder = join(contracts, 'src');
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.sol')).sort()) {
    hash.update(`${file}\n`).update(readFileSync(join(folder, file)));
  }
  return `0x${hash.digest('hex')}`;
}

function artifact(name) {
  const compiled = JSON.parse(readFileSync(join(contracts, OUT, `${name}.sol`, `${name}.json`), 'utf8'));
  const { version } = JSON.parse(compiled.rawMetadata).compiler;
  return {
    contractName: name,
    compiler: version.split('+')[0],
    sourceHash: sourceHash(),
    abi: compiled.abi,
    bytecode: compiled.bytecode.object,
  };
}

function main(check) {
  // A folder of its own, so that neither lint nor the tests leave anything in it.
  const status = forge('build', 'src', '--force', '--out', OUT, '--cache-path', 'cache/artifacts', '--extra-output', 'metadata');
  if (status !== 0) return status;
  mkdirSync(join(contracts, 'abi'), { recursive: true });
  let stale = 0;
  for (const name of CONTRACTS) {
    const file = join(contracts, 'abi', `${name}.json`);
    const text = `${JSON.stringify(artifact(name), null, 2)}\n`;
    if (!check) {
      writeFileSync(file, text);
    } else if (readFileSync(file, 'utf8') !== text) {
      stale += 1;
      console.error(`abi/${name}.json differs from a fresh compile: run \`npm run build -w contracts\` and commit it`);
    }
  }
  console.log(`${CONTRACTS.length} artifacts ${check ? 'checked' : 'written'}, ${stale} stale`);
  return stale === 0 ? 0 : 1;
}

process.exitCode = main(process.argv.includes('--check'));
