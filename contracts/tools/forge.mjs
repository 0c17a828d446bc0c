#!/usr/bin/env node
// Runs the native forge of this platform in the folder of the contracts, and exits with its exit code. The wrapper
// that npm installs as `forge` always exits with 0, also when a test failed.
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { arch, platform } from 'node:process';
import { fileURLToPath } from 'node:url';

const ARCHITECTURES = { x64: 'amd64', arm64: 'arm64' };

export const contracts = fileURLToPath(new URL('..', import.meta.url));

export function forgeBinary() {
  const suffix = platform === 'win32' ? '.exe' : '';
  return createRequire(import.meta.url).resolve(`@foundry-rs/forge-${platform}-${ARCHITECTURES[arch]}/bin/forge${suffix}`);
}

export function forge(...args) {
  const { status, error } = spawnSync(forgeBinary(), args, { cwd: contracts, stdio: 'inherit' });
  if (error) throw error;
  return status ?? 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = forge(...process.argv.slice(2));
