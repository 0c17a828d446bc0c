// What a block explorer needs in order to compile the ledger by itself: the standard-JSON input of the compiler, with
// every source under the name by which it is imported. It is compiled here by the npm `solc` and must give the very
// bytecode that forge gave, so nobody finds out at the explorer that it does not.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

import { contracts } from './forge.mjs';

const SOURCE = 'src/FeedLedger.sol';
const NAME = 'FeedLedger';

/** Undoes the remappings of foundry.toml, which lead to folders that nobody else has. */
function importedName(path, remappings) {
  for (const remapping of remappings) {
    const [prefix, target] = remapping.replace(/^[^:]*:/, '').split('=');
    if (path.startsWith(target)) return `${prefix}${path.slice(target.length)}`;
  }
  return path;
}

/** The input that is entered at an explorer, from the metadata that the compiler wrote for forge's artifact. */
export function standardInput({ sources, settings }) {
  const entries = Object.keys(sources).map((path) => [
    importedName(path, settings.remappings),
    { content: readFileSync(join(contracts, path), 'utf8') },
  ]);
  const { optimizer, viaIR, evmVersion, metadata } = settings;
  return {
    language: 'Solidity',
    sources: Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1))),
    settings: {
      optimizer,
      viaIR,
      evmVersion,
      metadata,
      outputSelection: { '*': { '*': ['abi', 'evm.bytecode.object', 'evm.deployedBytecode.object'] } },
    },
  };
}

/**
 * Compiles that input. Answers the bytecode, the compiler's full version, and the code as it stands on a chain with
 * the places that the constructor fills in, by the names of the immutable variables.
 */
export function compile(input) {
  const solc = createRequire(import.meta.url)('solc');
  const outputSelection = {
    '*': { '': ['ast'], '*': ['evm.bytecode.object', 'evm.deployedBytecode.object', 'evm.deployedBytecode.immutableReferences'] },
  };
  const asked = { ...input, settings: { ...input.settings, outputSelection } };
  const output = JSON.parse(solc.compile(JSON.stringify(asked)));
  const errors = (output.errors ?? []).filter(({ severity }) => severity === 'error');
  if (errors.length > 0) throw new Error(errors.map(({ formattedMessage }) => formattedMessage).join('\n'));
  const { bytecode, deployedBytecode } = output.contracts[SOURCE][NAME].evm;
  const names = variableNames(output.sources);
  const places = Object.entries(deployedBytecode.immutableReferences).map(([id, references]) => [
    names.get(Number(id)),
    references.map(({ start }) => start).sort((a, b) => a - b),
  ]);
  return {
    bytecode: `0x${bytecode.object}`,
    runtime: {
      contract: `${SOURCE}:${NAME}`,
      compiler: `v${solc.version().replace('.Emscripten.clang', '')}`,
      code: `0x${deployedBytecode.object}`,
      immutables: Object.fromEntries(places.sort(([a], [b]) => (a < b ? -1 : 1))),
    },
  };
}

/** The names of the variables by the numbers that the syntax trees give them. */
function variableNames(sources) {
  const names = new Map();
  const visit = (node) => {
    if (node === null || typeof node !== 'object') return;
    if (node.nodeType === 'VariableDeclaration') names.set(node.id, node.name);
    Object.values(node).forEach(visit);
  };
  Object.values(sources).forEach(({ ast }) => visit(ast));
  return names;
}
