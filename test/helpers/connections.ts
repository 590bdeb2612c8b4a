/** The ways to libvirt that tests take. */

import { execFileSync } from 'node:child_process';
import { domainsOf, type WhereLeft } from './leftovers.js';

/** A way that root takes. */
export interface Way {
  readonly uri: string;
  /** Why it cannot be taken here, or false. */
  readonly skip: string | false;
  readonly where: WhereLeft;
}

/** libvirt's driver without a daemon. */
export const embedded: Way = { uri: 'qemu:///embed', skip: unlessRootUser(), where: {} };

/** root's libvirtd. */
export const system: Way = {
  uri: 'qemu:///system',
  skip: unlessRootUser() || unlessSystem(),
  where: { domains: () => domainsOf('qemu:///system') },
};

function unlessRootUser(): string | false {
  return process.geteuid?.() === 0 ? false : 'needs root';
}

/** scripts/test.mjs starts a libvirtd and says so; a test file that is run by itself looks for one. */
function unlessSystem(): string | false {
  const told = process.env['VIRT_SANDBOX_TEST_SYSTEM'];
  if (told !== undefined) return told === 'yes' ? false : told;
  try {
    execFileSync('virsh', ['-q', '-c', 'qemu:///system', 'list'], { stdio: 'ignore', timeout: 10_000 });
    return false;
  } catch {
    return 'no libvirtd answers at qemu:///system (scripts/test.mjs starts one)';
  }
}
