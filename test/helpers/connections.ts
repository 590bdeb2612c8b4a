/** The connections to libvirt that tests use. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { domainsOf, type WhereLeft } from './leftovers.js';
import type { RunOptions } from './run.js';

/** A connection that root uses. */
export interface Way {
  readonly uri: string;
  /** A reason to skip, or false if it works here. */
  readonly skip: string | false;
  readonly where: WhereLeft;
  /** How virt-sandbox is run for it. */
  readonly options: Pick<RunOptions, 'through' | 'program' | 'env' | 'cwd'>;
}

/** libvirt's driver without a daemon. */
export const embedded: Way = { uri: 'qemu:///embed', skip: unlessRootUser(), where: {}, options: {} };

/** root's libvirtd. */
export const system: Way = {
  uri: 'qemu:///system',
  skip: unlessRootUser() || unlessSystem(),
  where: { domains: () => domainsOf('qemu:///system'), logs: '/var/log/libvirt/qemu' },
  options: {},
};

/** The words that enter the mount namespace of the libvirtd that scripts/test.mjs starts for containers. */
export const enterLxc = ['nsenter', '--mount', '--target', process.env['VIRT_SANDBOX_TEST_LXC'] ?? '', '--'];

/** Containers. */
export const lxc: Way = {
  uri: 'lxc:///',
  skip: unlessRootUser() || unlessLxc(),
  where: { domains: () => domainsOf('lxc:///', enterLxc), logs: '/var/log/libvirt/lxc' },
  options: { through: enterLxc },
};

/** Runs a command in the mount namespace of the libvirtd for containers. */
export function besideLxc(...command: readonly string[]): string {
  const [program = '', ...args] = [...enterLxc, ...command];
  return execFileSync(program, args, { encoding: 'utf8' });
}

function unlessRootUser(): string | false {
  return process.geteuid?.() === 0 ? false : 'needs root';
}

/** scripts/test.mjs starts a libvirtd and says so in the environment. A test file that runs by itself asks virsh. */
function unlessSystem(): string | false {
  const state = process.env['VIRT_SANDBOX_TEST_SYSTEM'];
  if (state !== undefined) return state === 'yes' ? false : state;
  try {
    execFileSync('virsh', ['-q', '-c', 'qemu:///system', 'list'], { stdio: 'ignore', timeout: 10_000 });
    return false;
  } catch {
    return 'no libvirtd answers at qemu:///system (scripts/test.mjs starts one)';
  }
}

function unlessLxc(): string | false {
  const state = process.env['VIRT_SANDBOX_TEST_LXC'] ?? 'scripts/test.mjs starts the libvirtd for it';
  return /^\d+$/.test(state) ? false : state;
}

/** Whether the host's kernel has bfq, the disk scheduler that knows the weights of control groups. */
export function knowsBlockWeights(): boolean {
  const group = '/sys/fs/cgroup/blkio';
  return existsSync(group) && readdirSync(group).some((file) => file.startsWith('blkio.bfq.'));
}
