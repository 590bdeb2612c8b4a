/** Programs: those of this package that are not JavaScript, and those of the host. */
import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SandboxError } from './errors.js';

/** The directory that holds package.json, from wherever this file was bundled or compiled to. */
export function packageDirectory(): string {
  for (let at = dirname(fileURLToPath(import.meta.url)); ; at = dirname(at)) {
    if (existsSync(join(at, 'package.json'))) return at;
    if (at === dirname(at)) return at;
  }
}

/**
 * A native program of this package.
 * @throws {SandboxError} `not-built`
 */
export function hostProgram(name: 'supervisor' | 'init' | 'dhcp'): string {
  const path = join(packageDirectory(), 'dist', 'native', name);
  if (existsSync(path)) return path;
  throw new SandboxError({
    stage: 'config',
    code: 'not-built',
    message: `${path} is missing`,
    remedy: 'run make build in the source directory, or install the package again',
  });
}

/** The first executable of that name in PATH, or in the directories that hold system programs whatever PATH is. */
export function findInPath(name: string): string | undefined {
  return searchDirectories()
    .map((directory) => join(directory, name))
    .find(isExecutable);
}

/** A PATH with which another program finds what {@link findInPath} does. */
export function searchPath(): string {
  return searchDirectories().join(delimiter);
}

function searchDirectories(): string[] {
  const own = (process.env['PATH'] ?? '').split(delimiter).filter((directory) => directory.startsWith('/'));
  return [...new Set([...own, '/usr/sbin', '/usr/bin', '/sbin', '/bin', '/usr/libexec'])];
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
