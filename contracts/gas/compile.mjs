// Compiles one Solidity file with the project's own compiler and the settings of the ledger.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);

const SETTINGS = {
  evmVersion: 'cancun',
  viaIR: true,
  optimizer: { enabled: true, runs: 1_000_000 },
  outputSelection: { '*': { '*': ['abi', 'evm.bytecode.object'] } },
};

export function compile(file, contract) {
  const input = {
    language: 'Solidity',
    sources: { [file]: { content: readFileSync(require.resolve(file), 'utf8') } },
    settings: SETTINGS,
  };
  const importFrom = (name) => ({ contents: readFileSync(require.resolve(name), 'utf8') });
  const { contracts, errors = [] } = JSON.parse(require('solc').compile(JSON.stringify(input), { import: importFrom }));
  const failure = errors.find(({ severity }) => severity === 'error');
  if (failure) throw new Error(failure.formattedMessage);
  const { abi, evm } = contracts[file][contract];
  return { abi, bytecode: evm.bytecode.object };
}
