/** Command lines of the measured programs: virt-sandbox and virtme-ng. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { findInPath, packageDirectory } from '../../util/programs.js';

/** What `virt-sandbox --dry-run --json` says of the machine it would start. */
export interface ImageFacts {
  readonly kernel: string;
  readonly initrd: string;
  /** Absent for a container, like all facts of the image. */
  readonly kernelVersion?: string;
  readonly uri: string;
  readonly acceleration?: string;
  /** What serves the root of a machine. */
  readonly rootFs?: '9p' | 'virtiofs';
  readonly boot?: 'cold' | 'warm';
  /** Directory of the snapshot that a warm start restores. */
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
 * The command line of virt-sandbox with these options. The libvirtd for containers may run in namespaces of its own;
 * then VIRT_SANDBOX_BENCH_LXC holds the words of a command that enters them (scripts/with-libvirt.mjs).
 */
export function sandboxArgv(program: string, options: readonly string[]): [string, ...string[]] {
  const [first, ...others] = asksForContainer(options) ? lxcThrough() : [];
  return first === undefined ? [program, ...options] : [first, ...others, program, ...options];
}

/** Words to put before a command that must reach the libvirtd for containers. */
export function lxcThrough(): string[] {
  return (process.env['VIRT_SANDBOX_BENCH_LXC'] ?? '').split(' ').filter((word) => word !== '');
}

/** Asks virt-sandbox what it would start. This builds the image if the store lacks it. */
export function imageFacts(program: string, options: readonly string[] = []): ImageFacts {
  const [first, ...words] = sandboxArgv(program, ['--dry-run', '--json', ...options, '--', '/bin/true']);
  const text = execFileSync(first, words, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return JSON.parse(text) as ImageFacts;
}

/**
 * The connection through which virsh gives QEMU's command line: the embedded driver does so only with a directory of
 * its own, which is made in `scratch`.
 */
export function commandLineUri(uri: string, scratch: string): string {
  return uri === 'qemu:///embed' ? `${uri}?root=${join(scratch, 'embed')}` : uri;
}

export function findVirtme(kernelVersion = release()): Virtme {
  const program = findInPath('vng');
  if (program === undefined) return { missing: 'virtme-ng is not installed (scripts/setup bench)' };
  const kernel = `/boot/vmlinuz-${kernelVersion}`;
  return existsSync(kernel) ? { program, kernel } : { missing: `${kernel}, which vng could boot, is not there` };
}

/** The fastest way in which Debian's virtme-ng runs a command, under the same acceleration as a sandbox. */
export function virtmeArgv(
  virtme: { readonly program: string; readonly kernel: string },
  acceleration: string | undefined,
  ...command: string[]
): [string, ...string[]] {
  const without = acceleration === 'kvm' ? [] : ['--disable-kvm'];
  return [virtme.program, '--run', virtme.kernel, ...without, '--', ...command];
}
