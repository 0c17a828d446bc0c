// The published packages of the peers. They are fetched when the table is made and only then, by exact version and
// content hash, into an ignored folder: they are read and run on a local chain, never built into the product, and most
// are under licences that the product could not take (BUSL, AGPL, GPL). Their own dependencies are not needed.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import { contracts } from '../tools/forge.mjs';

const FOLDER = join(contracts, 'cache', 'peers');

export const PACKAGES = {
  unlock: {
    name: '@unlock-protocol/contracts',
    version: '0.0.34',
    sha512: 'Sjgn8C3zKGdnGKfcoR4ejz1YgfQLYuHbtcZrK35N6FfPZQoL9jbWiyhIhxavb5bpRmXnLxnlh6vykEgCGIwjSg==',
  },
  sablier: {
    name: '@sablier/flow',
    version: '3.0.1',
    sha512: 'P7r2tMHRTS3KadYzwd4iEzHaSbKzPQfM+W1LI1lqQ11VhbRR0sqFjE71V6jr+QQPA3ns/L1KLf24Op5VOIvPDg==',
  },
  sablierUtils: {
    name: '@sablier/evm-utils',
    version: '2.0.1',
    sha512: 'LRyCMKTHMbnUbiTTO1IGsCVXzl+KL63K3qSjynwmXOZhUfPDE0MIqvvRlvF34JukWGy60IkdmnsPD0lWk+fzuw==',
  },
  weth: {
    name: 'canonical-weth',
    version: '1.4.0',
    sha512: '9rkLfAFndWALLhxd5lpyTX4RkV36WmVBZ92NYtYr1kWdAUmclRp7I5KkK4wvogzDcCI++yw53TLwx/GCPcocMg==',
  },
  superfluid: {
    name: '@superfluid-finance/ethereum-contracts',
    version: '1.15.2',
    sha512: 'pvNZvjR72VNdVsUyk0AEsyU8nhk3ClFI9IDfpDVgHaeupugUzrtrsWAwr8s9iAbNgC7uS4e3/kz1Afd+aK5H7Q==',
  },
};

/** Fetches a package unless it is there, and gives a reader of its JSON files. */
export function open({ name, version, sha512 }) {
  const folder = join(FOLDER, `${name.replace('/', '+')}@${version}`);
  if (!existsSync(join(folder, 'package.json'))) {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    const args = ['pack', '--silent', '--json', '--pack-destination', FOLDER, `${name}@${version}`];
    const [{ filename }] = JSON.parse(execFileSync('npm', args, { encoding: 'utf8', timeout: 300_000 }));
    const tarball = join(FOLDER, filename);
    const found = createHash('sha512').update(readFileSync(tarball)).digest('base64');
    if (found !== sha512) throw new Error(`${name}@${version}: sha512 is ${found}, expected ${sha512}`);
    execFileSync('tar', ['-xzf', tarball, '-C', folder, '--strip-components=1']);
    rmSync(tarball);
  }
  return (file) => JSON.parse(readFileSync(join(folder, file), 'utf8'));
}
