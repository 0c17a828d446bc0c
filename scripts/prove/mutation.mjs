// Asks of each mutant of the ledger whether a test fails. Works on a copy of the contracts: forge compiles the tests
// once, then every mutant is compiled in this process and put into forge's cache in the place of the ledger, which
// takes a second where a build would take six. The mutants skip the optimizer, the tests of gas are left out.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

import { mutantsOf, mutate } from './mutators.mjs';

const SOURCES = ['Earnings', 'FeedLedger'];
const ROOT = process.cwd();
const COPY = join(ROOT, 'target/tools/mutation');
const CONTRACTS = join(COPY, 'contracts');
const ARTIFACT = join(CONTRACTS, 'out/FeedLedger.sol/FeedLedger.json');
const LEAST_KILLED = 0.95;
const SHORT_SAMPLE = 60;
// A healthy run takes two seconds; a mutant that never ends is a killed one.
const TEST_SECONDS = 90;
// Most mutants fall to the concrete tests: only what outlives a few random runs meets them all.
const FEW_RUNS = 1;
const ALL_RUNS = 16;
const LEFT_OUT = 'Gas|Symbolic|Scale';
// The eight rules apart: `invariant_All` holds them all.
const APART = 'invariant_[0-9]';

const seed = Number(process.env.ASHYA_SEED ?? 1);
const long = process.env.ASHYA_PROVE !== 'short';
const limit = Number(process.env.ASHYA_MUTANTS ?? (long ? Infinity : SHORT_SAMPLE));
const solc = createRequire(import.meta.url)('solc');
const sources = Object.fromEntries([...SOURCES, 'IFeedLedger'].map((name) => [name, readFileSync(`contracts/src/${name}.sol`, 'utf8')]));
const explained = JSON.parse(readFileSync('scripts/prove/mutation-equivalents.json', 'utf8'));

function importFrom(name) {
  const folder = { '@openzeppelin': 'node_modules', solady: 'node_modules' }[name.split('/')[0]];
  const file = join(ROOT, folder, name.replace(/^solady\//, 'solady/src/'));
  return existsSync(file) ? { contents: readFileSync(file, 'utf8') } : { error: `not found: ${name}` };
}

/** Compiles the ledger from these sources; undefined when they are no valid program. */
function compile(texts, { shipped = false, selection = ['evm.bytecode.object', 'evm.deployedBytecode'] } = {}) {
  const input = {
    language: 'Solidity',
    sources: Object.fromEntries(Object.entries(texts).map(([name, content]) => [`src/${name}.sol`, { content }])),
    settings: {
      evmVersion: 'cancun',
      viaIR: shipped,
      optimizer: { enabled: shipped, runs: 1_000_000 },
      metadata: { bytecodeHash: 'none', appendCBOR: false },
      outputSelection: { 'src/FeedLedger.sol': { FeedLedger: selection }, '*': { '': ['ast'] } },
    },
  };
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: importFrom }));
  if ((output.errors ?? []).some((error) => error.severity === 'error')) return undefined;
  return { evm: output.contracts['src/FeedLedger.sol'].FeedLedger.evm, trees: output.sources };
}

function forge(runs, ...args) {
  const env = { ...process.env, FOUNDRY_FUZZ_RUNS: String(runs * 8), FOUNDRY_INVARIANT_RUNS: String(runs), FOUNDRY_INVARIANT_DEPTH: '64' };
  const options = { cwd: CONTRACTS, env, encoding: 'utf8', timeout: TEST_SECONDS * 1000, killSignal: 'SIGKILL' };
  return spawnSync(process.execPath, ['tools/forge.mjs', ...args], options);
}

const test = (runs) => forge(runs, 'test', '--fail-fast', '--fuzz-seed', String(seed), '--no-match-contract', LEFT_OUT, '--no-match-test', APART);

/** Puts a compiled ledger where `deployCode` finds it. */
function install({ evm }) {
  const artifact = JSON.parse(readFileSync(ARTIFACT, 'utf8'));
  for (const part of ['bytecode', 'deployedBytecode']) artifact[part] = { ...evm[part], object: `0x${evm[part].object}` };
  writeFileSync(ARTIFACT, JSON.stringify(artifact));
}

/** A fresh copy in which the unchanged ledger passes, so that a failure is the mutant's. */
function prepare(original) {
  rmSync(COPY, { recursive: true, force: true });
  mkdirSync(COPY, { recursive: true });
  cpSync('contracts', CONTRACTS, { recursive: true, filter: (path) => !/contracts\/(out|cache)$/.test(path) });
  for (const folder of ['node_modules', 'protocol']) symlinkSync(join(ROOT, folder), join(COPY, folder));
  const built = spawnSync(process.execPath, ['tools/forge.mjs', 'build'], { cwd: CONTRACTS, encoding: 'utf8' });
  if (built.status !== 0) throw new Error(`the copy does not build:\n${built.stdout}${built.stderr}`);
  install(original);
  const started = Date.now();
  const healthy = test(ALL_RUNS);
  if (healthy.status !== 0) throw new Error(`the tests fail without a mutant:\n${healthy.stdout}${healthy.stderr}`);
  const [, count] = healthy.stdout.match(/: (\d+) tests passed, 0 failed/);
  console.error(`${count} tests, ${((Date.now() - started) / 1000).toFixed(1)} s without a mutant`);
  // The proof of the method: a ledger without its code must fail.
  install({ evm: { bytecode: { object: '' }, deployedBytecode: { object: '' } } });
  if (test(FEW_RUNS).status === 0) throw new Error('the tests do not run what is put into the place of the ledger');
  return count;
}

/** xorshift32: the same seed draws the same mutants. */
function sample(all, size) {
  let state = (seed >>> 0) || 1;
  const next = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
  if (all.length <= size) return all;
  const drawn = all.map((mutant, index) => ({ mutant, index, key: next() })).sort((a, b) => a.key - b.key);
  return drawn.slice(0, size).sort((a, b) => a.index - b.index).map(({ mutant }) => mutant);
}

/** Names a mutant by its text, so that it keeps its name when lines move. */
function describe({ name, start, end, text, operator }) {
  const bytes = Buffer.from(sources[name]);
  const from = bytes.lastIndexOf('\n', start - 1) + 1;
  const until = bytes.indexOf('\n', end - 1);
  const clean = (code) => code.toString().replace(/\s+/g, ' ').trim();
  return {
    operator,
    place: `${name}.sol:${bytes.subarray(0, start).toString().split('\n').length}`,
    before: clean(bytes.subarray(from, until)),
    after: clean(Buffer.concat([bytes.subarray(from, start), Buffer.from(text), bytes.subarray(end, until)])),
  };
}

function judge(mutant, original) {
  const texts = { ...sources, [mutant.name]: mutate(sources[mutant.name], mutant) };
  const compiled = compile(texts);
  if (!compiled) return 'invalid';
  if (compiled.evm.bytecode.object === original.evm.bytecode.object) return 'same code';
  install(compiled);
  for (const runs of [FEW_RUNS, ALL_RUNS]) {
    const { status, error } = test(runs);
    if (status !== 0) return error?.code === 'ETIMEDOUT' ? 'killed by time' : 'killed';
  }
  return compile(texts, { shipped: true }).evm.bytecode.object === shippedCode ? 'same code' : 'survived';
}

const original = compile(sources);
const shippedCode = compile(sources, { shipped: true }).evm.bytecode.object;
const tests = prepare(original);
const all = SOURCES.flatMap((name) => mutantsOf(sources[name], original.trees[`src/${name}.sol`].ast).map((mutant) => ({ ...mutant, name })));
const chosen = sample(all, limit);
console.error(`${all.length} mutants, ${chosen.length} to run`);

const tally = { invalid: 0, 'same code': 0, killed: 0, 'killed by time': 0, survived: 0 };
const operators = {};
const survivors = [];
chosen.forEach((mutant, index) => {
  const verdict = judge(mutant, original);
  tally[verdict] += 1;
  const row = (operators[mutant.operator] ??= { run: 0, killed: 0, survived: 0 });
  if (verdict.startsWith('killed') || verdict === 'survived') {
    row.run += 1;
    row[verdict === 'survived' ? 'survived' : 'killed'] += 1;
  }
  if (verdict === 'survived') {
    const found = describe(mutant);
    const reason = explained.find(({ before, after }) => before === found.before && after === found.after)?.reason;
    survivors.push({ ...found, reason });
    console.error(`survived${reason ? ' (explained)' : ''}: ${found.place}\n    ${found.before}\n    ${found.after}`);
  }
  if ((index + 1) % 50 === 0) console.error(`${index + 1} of ${chosen.length}: ${JSON.stringify(tally)}`);
});

const equivalent = survivors.filter(({ reason }) => reason);
const open = survivors.filter(({ reason }) => !reason);
const killed = tally.killed + tally['killed by time'];
const score = killed / (killed + open.length);
const raw = killed / (killed + survivors.length);
const percent = (share) => `${(100 * share).toFixed(1)}%`;
const code = (text) => `\`${text.replaceAll('|', '\\|')}\``;
const stale = limit < all.length ? [] : explained.filter(({ before, after }) => !survivors.some((s) => s.before === before && s.after === after));

console.log(`${all.length} mutants of ${SOURCES.map((name) => `${name}.sol`).join(' and ')}, ${chosen.length} run${chosen.length < all.length ? ', drawn by the seed' : ''}, each against ${tests} tests.

| | mutants |
|---|---|
| do not compile | ${tally.invalid} |
| compile to the same code as the original | ${tally['same code']} |
| killed by a failing test | ${tally.killed} |
| killed because the tests did not end in ${TEST_SECONDS} s | ${tally['killed by time']} |
| survived, explained below | ${equivalent.length} |
| survived | ${open.length} |
| **killed, of those that differ** | **${percent(score)}** (at least ${percent(LEAST_KILLED)}) |
| killed, with the explained ones counted as survivors | ${percent(raw)} |

| operator | run | killed | survived |
|---|---|---|---|
${Object.entries(operators).sort().map(([operator, row]) => `| ${operator} | ${row.run} | ${row.killed} | ${row.survived} |`).join('\n')}
${survivors.length === 0 ? '' : `
## Survivors

${survivors.map((s) => `- ${s.place}: ${code(s.before)} → ${code(s.after)}: ${s.reason ?? '**not explained**'}`).join('\n')}`}${stale.length === 0 ? '' : `

Explained in \`mutation-equivalents.json\`, but no longer a survivor: ${stale.map((s) => code(s.after)).join(', ')}`}`);
process.exitCode = score >= LEAST_KILLED && open.length === 0 ? 0 : 1;
