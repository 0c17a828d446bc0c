#!/usr/bin/env node
// Lets forge use the WebAssembly compiler of the npm package `solc` as if it were a native `solc`.
// Forge runs `solc --version` and `solc --standard-json [--base-path DIR] [--include-path DIR] < input`.
'use strict';

const fs = require('node:fs');
const path = require('node:path');

const STDIN = 0;
const STDOUT = 1;

/** Writes everything, because a pipe may take only part of it or none for a moment. */
function writeFully(text) {
  const bytes = Buffer.from(text);
  for (let offset = 0; offset < bytes.length; ) {
    try {
      offset += fs.writeSync(STDOUT, bytes, offset);
    } catch (error) {
      if (error.code !== 'EAGAIN') throw error;
    }
  }
}

/** Reads an import that forge did not put into the input. */
function importFrom(folders) {
  return (name) => {
    const file = folders.map((folder) => path.join(folder, name)).find((candidate) => fs.existsSync(candidate));
    return file ? { contents: fs.readFileSync(file, 'utf8') } : { error: `not found: ${name}` };
  };
}

function main(args) {
  if (args.includes('--version')) {
    // Forge asks often, so the answer does not load nine megabytes of WebAssembly.
    const { version } = require('solc/package.json');
    writeFully(`solc, the solidity compiler commandline interface\nVersion: ${version}+commit.00000000.Emscripten.clang\n`);
    return 0;
  }
  if (!args.includes('--standard-json')) {
    process.stderr.write(`solc-shim: expected --version or --standard-json, got: ${args.join(' ')}\n`);
    return 1;
  }
  const valuesOf = (option) => args.flatMap((arg, index) => (arg === option ? [args[index + 1]] : []));
  const folders = ['', ...valuesOf('--base-path'), ...valuesOf('--include-path'), process.cwd()];
  const input = fs.readFileSync(STDIN, 'utf8');
  writeFully(require('solc').compile(input, { import: importFrom(folders) }));
  return 0;
}

process.exitCode = main(process.argv.slice(2));
