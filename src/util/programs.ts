/** Finds programs: this package's native ones, and those of the host. */
import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SandboxError } from './errors.js';

/** The directory with package.json: the nearest one above this code, which may run from source, build or bundle. */
export function packageDirectory(): string {
  for (let at = dirname(fileURLToPath(import.meta.url)); ; at = dirname(at)) {
    if (existsSync(join(at, 'package.json'))) return at;
    if (at === dirname(at)) return at;
  }
}

/** A program that init/ has the source of. */
export type NativeProgram =
  | 'supervisor'
  | 'root-view'
  | 'root-overlay'
  | 'share-server'
  | 'qemu-wall'
  | 'netwall'
  | 'init'
  | 'dhcp';

/**
 * Path of a native program of this package.
 *
 * @throws {SandboxError} `not-built`
 */
export function hostProgram(name: NativeProgram): string {
  const path = join(packageDirectory(), 'dist', 'native', name);
  if (existsSync(path)) return path;
  throw new SandboxError({
    stage: 'config',
    code: 'not-built',
    message: `${path} is missing`,
    remedy: 'run make build in the source directory, or install the package again',
  });
}

/** Path of a program in PATH, or in the usual directories of system programs; undefined if there is none. */
export function findInPath(name: string): string | undefined {
  return searchDirectories()
    .map((directory) => join(directory, name))
    .find(isExecutable);
}

/** The QEMU that libvirt finds, too, if its PATH is ours. */
export function findQemu(): string | undefined {
  return findInPath('qemu-system-x86_64') ?? findInPath('qemu-kvm');
}

/** The directories that {@link findInPath} searches, as the value of PATH for another program. */
export function searchPath(): string {
  return searchDirectories().join(delimiter);
}

function searchDirectories(): string[] {
  const own = (process.env['PATH'] ?? '').split(delimiter).filter((directory) => directory.startsWith('/'));
  return [...new Set([...own, '/usr/sbin', '/usr/bin', '/sbin', '/bin', '/usr/libexec'])];
}

/** False also on a file system that is mounted without the right to execute. */
export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
