/** How each measured program is run: virt-sandbox and virtme-ng. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { findInPath, packageDirectory } from '../../util/programs.js';

export interface ImageFacts {
  readonly kernel: string;
  readonly initrd: string;
  /** Absent, as all of the image, for a container. */
  readonly kernelVersion?: string;
  readonly uri: string;
  readonly acceleration?: string;
  readonly boot?: 'cold' | 'warm';
  /** Directory of the saved machine that is gone on from. */
  readonly warmImage?: string;
}

export type Virtme = { readonly program: string; readonly kernel: string } | { readonly missing: string };

export function programPath(): string {
  return join(packageDirectory(), 'bin', 'virt-sandbox');
}

/** Whether these options of virt-sandbox ask for a container. */
export function asksForContainer(options: readonly string[]): boolean {
  return options.some((word) => word.includes('lxc:'));
}

/**
 * How virt-sandbox is run with these options: the libvirtd for containers may be in namespaces of its own, and VIRT_SANDBOX_BENCH_LXC has the
 * words that lead there (scripts/with-libvirt.mjs).
 */
export function sandboxArgv(program: string, options: readonly string[]): [string, ...string[]] {
  const [first, ...others] = asksForContainer(options) ? lxcThrough() : [];
  return first === undefined ? [program, ...options] : [first, ...others, program, ...options];
}

/** What stands before a command that is to reach the libvirtd for containers. */
export function lxcThrough(): string[] {
  return (process.env['VIRT_SANDBOX_BENCH_LXC'] ?? '').split(' ').filter((word) => word !== '');
}

/** Builds the image where it is not in the store. */
export function imageFacts(program: string, options: readonly string[] = []): ImageFacts {
  const [first, ...words] = sandboxArgv(program, ['--dry-run', '--json', ...options, '--', '/bin/true']);
  const text = execFileSync(first, words, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return JSON.parse(text) as ImageFacts;
}

export function findVirtme(kernelVersion = release()): Virtme {
  const program = findInPath('vng');
  if (program === undefined) return { missing: 'virtme-ng is not installed (scripts/setup bench)' };
  const kernel = `/boot/vmlinuz-${kernelVersion}`;
  return existsSync(kernel) ? { program, kernel } : { missing: `${kernel}, which vng could boot, is not there` };
}

/** How Debian's virtme-ng runs a command as fast as it can, under the same acceleration as a sandbox. */
export function virtmeArgv(
  virtme: { readonly program: string; readonly kernel: string },
  acceleration: string | undefined,
  ...command: string[]
): [string, ...string[]] {
  const without = acceleration === 'kvm' ? [] : ['--disable-kvm'];
  return [virtme.program, '--run', virtme.kernel, ...without, '--', ...command];
}
