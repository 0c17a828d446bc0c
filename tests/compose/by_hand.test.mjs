// Runs every service of docker-compose.yml as a plain process, with the command, environment, order and health
// checks that the file gives it: where no Docker engine is, this shows that the file works. Host names become
// 127.0.0.1, ports become free ones, volumes become folders.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const HEALTH_DEADLINE_MS = 60_000;
const ONE_SHOT_DEADLINE_MS = 90_000;

const { services } = parse(readFileSync(join(ROOT, 'docker-compose.yml'), 'utf8'), { merge: true });
const folder = mkdtempSync(join(tmpdir(), 'ashya-compose-'));
const running = [];
let ports;

before(async () => {
  ports = { 8545: await freePort(), 8080: await freePort(), 1883: await freePort(), 9090: await freePort() };
});

after(async () => {
  for (const child of running.reverse()) await stop(child);
  rmSync(folder, { recursive: true, force: true });
});

test('docker compose accepts the file', (context) => {
  const commands = [['docker', 'compose'], ['docker-compose']];
  const [program, ...args] = commands.find(([name, ...rest]) => run(name, ...rest, 'version').status === 0) ?? [];
  if (!program) return context.skip('neither `docker compose` nor `docker-compose` is installed');
  const answer = run(program, ...args, '--file', join(ROOT, 'docker-compose.yml'), 'config', '--quiet');
  assert.equal(answer.status, 0, answer.stderr);
});

test('every service runs as the file has it, and both feeds are on sale', { timeout: 300_000 }, async () => {
  for (const name of inOrder(services)) await start(name, services[name]);

  const gateway = `http://127.0.0.1:${ports[8080]}`;
  const feeds = await eventually('two feeds online', async () => {
    const found = (await (await fetch(`${gateway}/v1/feeds`)).json()).feeds;
    return found.length === 2 && found.every((feed) => feed.online) ? found : undefined;
  });
  for (const feed of feeds) assert.deepEqual(feed.streams, ['detections', 'frames']);
  assert.equal(new Set(feeds.map((feed) => feed.price)).size, 2, 'the feeds have different prices');
  const metrics = await (await fetch(`http://127.0.0.1:${ports[9090]}/metrics`)).text();
  assert.match(metrics, /^ashya_events_accepted_total [1-9]/m);
});

function run(program, ...args) {
  return spawnSync(program, args, { encoding: 'utf8' });
}

/** The services, each behind those that it waits for. */
function inOrder(all) {
  const order = [];
  const visit = (name) => {
    if (order.includes(name)) return;
    Object.keys(all[name].depends_on ?? {}).forEach(visit);
    order.push(name);
  };
  Object.keys(all).forEach(visit);
  return order;
}

async function start(name, service) {
  const [program, ...fixed] = entrypoint(service.build.target);
  const translate = translator(name, service.volumes ?? []);
  const args = [...fixed, ...service.command.map(translate)];
  const env = Object.fromEntries(Object.entries(service.environment ?? {}).map(([key, value]) => [key, translate(value)]));
  const log = openSync(join(folder, `${name}.log`), 'a');
  const child = spawn(locate(program), args, { cwd: folder, env: { PATH: process.env.PATH, ...env }, stdio: ['ignore', log, log] });
  child.service = name;
  child.on('error', (error) => assert.fail(`${name}: ${error.message}`));

  const waiters = Object.values(services).map((other) => other.depends_on?.[name]?.condition);
  const oneShot = service.restart === 'no' || waiters.includes('service_completed_successfully') || !isLongRunning(service);
  if (oneShot) {
    const [code] = await Promise.race([once(child, 'exit'), sleep(ONE_SHOT_DEADLINE_MS, ['timeout'], { ref: false })]);
    if (code === 'timeout') child.kill('SIGKILL');
    assert.equal(code, 0, `${name} failed:\n${logOf(name)}`);
    return;
  }
  running.push(child);
  if (service.healthcheck) {
    const [, command, ...rest] = service.healthcheck.test.map(translate);
    await eventually(`${name} is healthy`, async () => {
      const probe = spawn(command, rest, { stdio: 'ignore' });
      return (await once(probe, 'exit'))[0] === 0 || undefined;
    });
  }
}

/** A service that others wait to be healthy, or that is to be restarted, goes on; anything else ends by itself. */
function isLongRunning(service) {
  return service.healthcheck !== undefined || service.restart === 'unless-stopped';
}

/** What a container's strings mean on this machine. */
function translator(name, volumes) {
  const folders = volumes.map((volume) => {
    const [source, target] = volume.split(':');
    const path = join(folder, source);
    // As the image makes them: nobody else may look into /data.
    mkdirSync(path, { recursive: true, mode: target === '/data' ? 0o700 : 0o755 });
    return [target, path];
  });
  return (text) => {
    let result = String(text)
      .replaceAll('/usr/local/share/ashya/models', join(ROOT, 'models'))
      .replaceAll('/usr/local/lib/onnxruntime', join(ROOT, 'target', 'onnxruntime'));
    for (const [target, path] of folders) result = result.replace(new RegExp(`(^|=)${target}(?=/|$)`), `$1${path}`);
    for (const [inside, outside] of Object.entries(ports)) {
      result = result.replace(new RegExp(`(0\\.0\\.0\\.0|127\\.0\\.0\\.1|localhost|chain|gateway):${inside}\\b`), `127.0.0.1:${outside}`);
      result = result.replace(`--port=${inside}`, `--port=${outside}`);
    }
    return result.replace('--host=0.0.0.0', '--host=127.0.0.1');
  };
}

/** The entry point of an image, from the Dockerfile. */
function entrypoint(target) {
  const stages = readFileSync(join(ROOT, 'Dockerfile'), 'utf8').split(/^FROM /m);
  const stage = stages.find((text) => new RegExp(`^\\S+ AS ${target}$`, 'm').test(text));
  return JSON.parse(/^ENTRYPOINT (.*)$/m.exec(stage)[1]);
}

function locate(program) {
  if (program !== 'anvil') return join(ROOT, 'target', 'release', program);
  const cpu = process.arch === 'x64' ? 'amd64' : process.arch;
  return join(ROOT, 'node_modules', '@foundry-rs', `anvil-${process.platform}-${cpu}`, 'bin', 'anvil');
}

async function eventually(what, attempt) {
  const deadline = Date.now() + HEALTH_DEADLINE_MS;
  for (;;) {
    for (const child of running) assert.equal(child.exitCode, null, `${child.service} stopped:\n${logOf(child.service)}`);
    const result = await attempt();
    if (result !== undefined) return result;
    if (Date.now() > deadline) {
      const logs = running.map((child) => `--- ${child.service}\n${logOf(child.service)}`).join('\n');
      assert.fail(`not within ${HEALTH_DEADLINE_MS / 1000} s: ${what}\n${logs}`);
    }
    await sleep(250);
  }
}

function logOf(name) {
  return readFileSync(join(folder, `${name}.log`), 'utf8').split('\n').slice(-20).join('\n');
}

async function stop(child) {
  if (child.exitCode !== null) return;
  child.kill('SIGTERM');
  const gone = once(child, 'exit');
  const timer = setTimeout(() => child.kill('SIGKILL'), 10_000);
  await gone;
  clearTimeout(timer);
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}
