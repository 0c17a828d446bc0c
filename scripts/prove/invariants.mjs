// Runs forge's invariant test over the handler of many feeds and people, and turns its JSON into a table.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

const TEST = 'invariant_All';
const WANTED_CALLS = 1_000_000;
const long = process.env.ASHYA_PROVE !== 'short';

const env = { ...process.env, FOUNDRY_PROFILE: 'prove', FOUNDRY_INVARIANT_SHOW_METRICS: 'true' };
// With one campaign of each rule apart, the short form takes a minute.
if (!long) Object.assign(env, { FOUNDRY_INVARIANT_RUNS: '40', FOUNDRY_INVARIANT_DEPTH: '250' });
const args = ['contracts/tools/forge.mjs', 'test', '--json', '--match-test', TEST, '--fuzz-seed', process.env.ASHYA_SEED ?? '1'];
const started = Date.now();
const { status, stdout, stderr } = spawnSync(process.execPath, args, { env, encoding: 'utf8', maxBuffer: 2 ** 28, stdio: ['ignore', 'pipe', 'pipe'] });
const seconds = (Date.now() - started) / 1000;
process.stderr.write(stderr);

// Progress may stand before the report, which is the last line that is an object.
const line = stdout.split('\n').findLast((text) => text.startsWith('{') && text.includes('test_results'));
if (!line) {
  console.error(stdout);
  throw new Error(`forge gave no report, exit code ${status}`);
}
const results = Object.values(JSON.parse(line)).flatMap((suite) => Object.entries(suite.test_results));
let calls = 0;
let violations = 0;
console.log('| rule | runs | calls | reverts | violated |\n|---|---|---|---|---|');
for (const [name, { status: verdict, reason, kind }] of results) {
  const { runs = 0, calls: made = 0, reverts = 0 } = kind.Invariant ?? {};
  calls += made;
  if (verdict !== 'Success') violations += 1;
  console.log(`| ${name} | ${runs} | ${made} | ${reverts} | ${verdict === 'Success' ? 'never' : `**${reason ?? verdict}**`} |`);
}
console.log(`\n${calls} calls in ${seconds.toFixed(0)} s with compiling, ${violations} violations. A revert that the handler did not expect is a violation too.`);

for (const [name, { kind }] of results) {
  const metrics = Object.entries(kind.Invariant?.metrics ?? {}).sort();
  if (metrics.length === 0) continue;
  console.log(`\n| action of ${name} | calls | reverts |\n|---|---|---|`);
  for (const [action, { calls: made, reverts }] of metrics) console.log(`| ${action.split(':').at(-1).split('.').at(-1)} | ${made} | ${reverts} |`);
}
process.exitCode = status === 0 && violations === 0 && (!long || calls >= WANTED_CALLS) ? 0 : 1;
