/** What an include is made of: everything at and below a path of the host, as it is; links are not followed. */
import { isUtf8 } from 'node:buffer';
import type { Stats } from 'node:fs';
import { lstat, readdir, readlink } from 'node:fs/promises';
import { join, posix } from 'node:path';
import type { Include } from '../config/types.js';
import { isSystemError, messageOf, SandboxError } from '../util/errors.js';
import { textOf } from '../util/raw-text.js';
import { deviceError } from './failure.js';

export type EntryKind =
  | { readonly kind: 'directory' }
  | { readonly kind: 'file' }
  | { readonly kind: 'link'; readonly leadsTo: string }
  | { readonly kind: 'pipe' }
  | { readonly kind: 'device'; readonly isBlock: boolean; readonly major: number; readonly minor: number }
  /** A socket is somebody's who listens, and nobody would at a copy. */
  | { readonly kind: 'socket' };

/** One thing to be copied. */
export type Entry = EntryKind & {
  /** On the host. */
  readonly source: string;
  /** Inside. */
  readonly target: string;
  /** Permission bits. */
  readonly mode: number;
};

/** Told how the copying goes on. */
export interface CopyObserver {
  /** What cannot be copied, and is of no use. */
  readonly onLeftOut: (sentence: string) => void;
  /** Some more is copied. */
  readonly onPiece: () => void;
}

/**
 * A directory comes before what is in it; names are in the order of their bytes.
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

/** @throws {SandboxError} `include-device`, `include-unreadable` */
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
  throw notUtf8(
    `where ${JSON.stringify(source)}, which is to be included, leads to, ${JSON.stringify(textOf(target))},`,
  );
}

/** Node has U+FFFD in place of what is not UTF-8, and that would be another name. */
async function refuseRawNames(directory: string): Promise<void> {
  for (const name of await reading(directory, readdir(directory, { encoding: 'buffer' }))) {
    if (!isUtf8(name))
      throw notUtf8(
        `the name ${JSON.stringify(textOf(name))} in ${JSON.stringify(directory)}, which is to be included,`,
      );
  }
}

function notUtf8(what: string): SandboxError {
  return new SandboxError({
    stage: 'config',
    code: 'include-unreadable',
    message: `${what} is not UTF-8`,
    remedy: 'rename it, leave it out, or have the directory as a mount: --mount host-bind:/target=/source',
  });
}

/** gnu_dev_major() and gnu_dev_minor() of <sys/sysmacros.h>. */
export function deviceNumbers(rdev: number): { readonly major: number; readonly minor: number } {
  const bits = BigInt(rdev);
  return {
    major: Number(((bits >> 8n) & 0xfffn) | ((bits >> 32n) & 0xfffff000n)),
    minor: Number((bits & 0xffn) | ((bits >> 12n) & 0xffffff00n)),
  };
}

/** Awaits something that is read from `path`. */
export async function reading<T>(path: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (!isSystemError(error)) throw error;
    throw new SandboxError({
      stage: 'config',
      code: 'include-unreadable',
      message: `${JSON.stringify(path)}, which is to be included, cannot be read: ${messageOf(error)}`,
      remedy: 'make it readable for you, or include less',
      cause: error,
    });
  }
}
