#!/usr/bin/env node
// Fails when a function has no tree, when a leaf of a tree has no test, or when no test expects an error.
// A leaf names its tests in brackets behind it: `it reverts with ZeroPrice  [SettersTest.test_SetPrice_RevertWhen_Zero]`.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { contracts } from './forge.mjs';

const DECLARATION = /^(?:abstract )?contract (\w+)|^ {4}function ((?:test|invariant)\w*)\(/gm;

function read(...path) {
  return readFileSync(join(contracts, ...path), 'utf8');
}

/** All tests as `Contract.test`, and the text of all of them. */
function readTests() {
  const names = new Set();
  let text = '';
  for (const file of readdirSync(join(contracts, 'test'), { recursive: true }).filter((name) => name.endsWith('.sol'))) {
    const source = read('test', file);
    text += source;
    let contract = '';
    for (const [, declared, test] of source.matchAll(DECLARATION)) {
      if (declared) contract = declared;
      else names.add(`${contract}.${test}`);
    }
  }
  return { names, text };
}

function depth(line) {
  return line.match(/^[│├└─ ]*/)[0].length;
}

/** What is wrong with one tree, as sentences. */
function checkTree(file, tests, errors) {
  const lines = read('test/trees', file).trimEnd().split('\n');
  return lines.flatMap((line, index) => {
    const next = lines[index + 1];
    if (next !== undefined && depth(next) > depth(line)) return [];
    const named = line.match(/\[(.+)\]$/)?.[1].split(', ') ?? [];
    const where = `trees/${file}:${index + 1}`;
    const error = line.match(/reverts with (\w+)/)?.[1];
    return [
      ...(named.length === 0 ? [`${where} names no test`] : []),
      ...named.filter((name) => !tests.has(name)).map((name) => `${where}: no such test: ${name}`),
      ...(error && !errors.has(error) ? [`${where}: no such error: ${error}`] : []),
    ];
  });
}

function main() {
  const abi = ['FeedLedger', 'VerifySignature'].flatMap((name) => JSON.parse(read('abi', `${name}.json`)).abi);
  const source = read('src', 'IFeedLedger.sol');
  const functions = [...source.matchAll(/^ {4}function (\w+)\(/gm)].map(([, name]) => name);
  const errors = new Set([...source.matchAll(/^ {4}error (\w+)\(/gm)].map(([, name]) => name));
  const { names, text } = readTests();
  const trees = readdirSync(join(contracts, 'test/trees'));

  const faults = [
    ...functions.filter((name) => !trees.includes(`${name}.tree`)).map((name) => `${name} has no tree`),
    ...[...errors].filter((name) => !text.includes(`IFeedLedger.${name}.selector`)).map((name) => `no test expects ${name}`),
    ...trees.flatMap((file) => checkTree(file, names, new Set(abi.filter(({ type }) => type === 'error').map(({ name }) => name)))),
  ];
  faults.forEach((fault) => console.error(fault));
  console.log(`${functions.length} functions, ${errors.size} errors, ${trees.length} trees, ${names.size} tests, ${faults.length} faults`);
  return faults.length === 0 ? 0 : 1;
}

process.exitCode = main();
