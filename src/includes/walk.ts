/** Lists what an include consists of: everything at and below a path of the host. Links are not followed. */

import { isUtf8 } from 'node:buffer';
import type { Stats } from 'node:fs';
import { lstat, readdir, readlink } from 'node:fs/promises';
import { join, posix } from 'node:path';
import type { Include } from '../config/types.js';
import { isSystemError, messageOf, SandboxError } from '../util/errors.js';
import { option } from '../util/option-names.js';
import { textOf } from '../util/raw-text.js';
import type { Entry, EntryKind } from './entry.js';
import { deviceError } from './errors.js';

/**
 * The entries of an include. A directory comes before its content; names are sorted.
 *
 * @throws {SandboxError} `include-unreadable`
 */
export async function* entriesOf({ source, target }: Include): AsyncGenerator<Entry> {
  const status = await reading(source, lstat(source));
  yield { source, target, mode: status.mode & 0o7777, ...(await kindOf(source, status)) };
  if (!status.isDirectory()) return;
  const names = await reading(source, readdir(source));
  for (const name of names.sort()) {
    if (name.includes('\ufffd')) await refuseRawNames(source);
    yield* entriesOf({ source: join(source, name), target: posix.join(target, name) });
  }
}

/**
 * Checks that an include has no devices.
 *
 * @throws {SandboxError} `include-device`, `include-unreadable`
 */
export async function refuseDevices(include: Include): Promise<void> {
  for await (const entry of entriesOf(include)) if (entry.kind === 'device') throw deviceError(entry);
}

async function kindOf(source: string, status: Stats): Promise<EntryKind> {
  if (status.isDirectory()) return { kind: 'directory' };
  if (status.isFile()) return { kind: 'file' };
  if (status.isSymbolicLink()) return { kind: 'link', leadsTo: await targetOf(source) };
  if (status.isFIFO()) return { kind: 'pipe' };
  if (status.isSocket()) return { kind: 'socket' };
  return { kind: 'device', isBlock: status.isBlockDevice(), ...deviceNumbers(status.rdev) };
}

async function targetOf(source: string): Promise<string> {
  const target = await reading(source, readlink(source, { encoding: 'buffer' }));
  if (isUtf8(target)) return target.toString();
  throw notUtf8(`the target ${JSON.stringify(textOf(target))} of the symbolic link ${JSON.stringify(source)}`);
}

/**
 * Throws for a name in `directory` that is not UTF-8. Node.js replaces such bytes with U+FFFD, which is another name.
 */
async function refuseRawNames(directory: string): Promise<void> {
  for (const name of await reading(directory, readdir(directory, { encoding: 'buffer' }))) {
    if (!isUtf8(name)) throw notUtf8(`the name ${JSON.stringify(textOf(name))} in ${JSON.stringify(directory)}`);
  }
}

function notUtf8(what: string): SandboxError {
  return new SandboxError({
    stage: 'config',
    code: 'include-unreadable',
    message: `${what} is not UTF-8, so it cannot be included`,
    remedy: `rename it, leave it out, or mount the directory: ${option('mounts')} host-bind:/target=/source`,
  });
}

/** Major and minor number of a device, as gnu_dev_major() and gnu_dev_minor() of <sys/sysmacros.h> compute them. */
export function deviceNumbers(rdev: number): { readonly major: number; readonly minor: number } {
  const bits = BigInt(rdev);
  return {
    major: Number(((bits >> 8n) & 0xfffn) | ((bits >> 32n) & 0xfffff000n)),
    minor: Number((bits & 0xffn) | ((bits >> 12n) & 0xffffff00n)),
  };
}

/**
 * Awaits `work`, which reads from `path`.
 *
 * @throws {SandboxError} `include-unreadable`, in place of a system error
 */
export async function reading<T>(path: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (!isSystemError(error)) throw error;
    throw new SandboxError({
      stage: 'config',
      code: 'include-unreadable',
      message: `${JSON.stringify(path)} is to be included and cannot be read: ${messageOf(error)}`,
      remedy: 'make it readable for your user, or include less',
      cause: error,
    });
  }
}
