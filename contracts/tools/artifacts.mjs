#!/usr/bin/env node
// Writes abi/*.json, from which Rust and the web app build without a Solidity compiler, and what block explorers
// verify the ledger by. With `--check` it writes
// nothing and fails when the committed files differ from a fresh compile.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { contracts, forge } from './forge.mjs';
import { compile, standardInput } from './standard-input.mjs';

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

function compiledByForge(name) {
  const compiled = JSON.parse(readFileSync(join(contracts, OUT, `${name}.sol`, `${name}.json`), 'utf8'));
  return { ...compiled, metadata: JSON.parse(compiled.rawMetadata) };
}

function artifact(name) {
  const compiled = compiledByForge(name);
  const { version } = compiled.metadata.compiler;
  return {
    contractName: name,
    compiler: version.split('+')[0],
    sourceHash: sourceHash(),
    abi: compiled.abi,
    bytecode: compiled.bytecode.object,
  };
}

/** The files about the code on the chain. `VerifySignature` has none: it runs in calls and is never deployed. */
function deploymentFiles() {
  const forged = compiledByForge('FeedLedger');
  const input = standardInput(forged.metadata);
  const { bytecode, runtime } = compile(input);
  if (bytecode !== forged.bytecode.object) {
    throw new Error('the standard-JSON input does not give the bytecode that forge gives');
  }
  return { 'FeedLedger.standard-input.json': input, 'FeedLedger.runtime.json': runtime };
}

function main(check) {
  // A folder of its own, so that neither lint nor the tests leave anything in it.
  const status = forge('build', 'src', '--force', '--out', OUT, '--cache-path', 'cache/artifacts', '--extra-output', 'metadata');
  if (status !== 0) return status;
  mkdirSync(join(contracts, 'abi'), { recursive: true });
  const files = Object.entries({
    ...Object.fromEntries(CONTRACTS.map((name) => [`${name}.json`, artifact(name)])),
    ...deploymentFiles(),
  });
  let stale = 0;
  for (const [name, content] of files) {
    const file = join(contracts, 'abi', name);
    const text = `${JSON.stringify(content, null, 2)}\n`;
    if (!check) {
      writeFileSync(file, text);
    } else if (!existsSync(file) || readFileSync(file, 'utf8') !== text) {
      stale += 1;
      console.error(`abi/${name} differs from a fresh compile: run \`npm run build -w contracts\` and commit it`);
    }
  }
  console.log(`${files.length} artifacts ${check ? 'checked' : 'written'}, ${stale} stale`);
  return stale === 0 ? 0 : 1;
}

process.exitCode = main(process.argv.includes('--check'));
