/** How a state gets its bound: ./bound.ts */
import { chmodSync, closeSync, fsyncSync, mkdirSync, openSync, rmdirSync, statfsSync } from 'node:fs';
import { truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { quote } from '../../config/errors.js';
import { BOUND } from '../../sandbox/devices/overlay-bound.js';
import { layersOf } from '../../sandbox/devices/overlay-directory.js';
import { EXT4, EXT4_EXTENDED } from '../../sandbox/devices/overlay-image.js';
import { findTool, runTool } from '../../sandbox/devices/overlay-tools.js';
import { isSystemError, messageOf, SandboxError, valueOr } from '../../util/errors.js';
import { isFull, serviceError } from '../errors.js';
import { type EndUse, isReadOnly, useState } from './bound.js';
import { reserveJournal } from './bound-journal.js';
import { fileLabeller, labelOf } from './label-state.js';

/** Who asks for programs, in an error. */
const PURPOSE = 'making the bound of a state';

/**
 * The last bytes of the file, which the file system does not have: they stay empty. Other kinds of disks are recognised
 * by what is at their end, and the host must not take this one for one of them.
 */
const MARGIN = 2 ** 20;
const BLOCK = 4096;

/**
 * Bytes for each inode, and MiB of the journal. Without a free inode overlayfs cannot be mounted, so blocks are to run out
 * first: a file that has anything in it takes one.
 */
const SIZES = ['-i', String(BLOCK), '-J', 'size=16'];

const NOT_WRITTEN = 'service-bound-not-written';

/**
 * Blocks up to which the file system could grow while it is mounted. So many need more than 1024 blocks of descriptors of
 * groups, which are in front: no bitmap is in the first 4 MiB. There libblkid looks for headers of LUKS2 and much else, and
 * which bits a bitmap has a service chooses. A larger file system has as many anyway.
 */
const MOST_BLOCKS = 2_200_000_000;

/**
 * Gives an empty directory a bound, and fills it. What `fill` has written there is on the disk then.
 * @param bytes a number with {@link MARGIN}; undefined: there is no bound
 * @throws {SandboxError} as {@link useState}, `overlay-tool-missing`, `service-bound-not-written`, and what `fill` throws
 */
export async function fillBound<T>(directory: string, bytes: number | undefined, fill: () => Promise<T>): Promise<T> {
  if (bytes === undefined) return fill();
  let endUse: EndUse | undefined;
  try {
    endUse = await makeBound(directory, bytes);
    const done = await fill();
    await flushAll(directory);
    return done;
  } catch (error) {
    throw isNotWritten(error, directory) ? notWritten(directory, error) : error;
  } finally {
    await endUse?.();
  }
}

/** @throws {SandboxError} `overlay-tool-missing`, `service-bound-not-written` */
async function flushAll(directory: string): Promise<void> {
  const sync = findTool('sync', 'coreutils', PURPOSE);
  try {
    // Nothing else says that the disk of the file got full: unmounting does not. It may have gigabytes to write.
    await runTool(sync, ['--file-system', '--', layersOf(directory)], { timeout: 0 });
  } catch (error) {
    throw notWritten(directory, error);
  }
  // That says nothing of a journal that was aborted before.
  if (await isReadOnly({ type: 'directory', path: directory }))
    throw notWritten(directory, new Error('it is read-only'));
}

/** Mounts it, too. @throws what the program fails with */
async function makeBound(directory: string, bytes: number): Promise<EndUse> {
  const mke2fs = findTool('mke2fs', 'e2fsprogs', PURPOSE);
  const file = join(directory, BOUND);
  await writeFile(file, '', { mode: 0o600, flag: 'wx' });
  await truncate(file, bytes);
  const blocks = Math.floor((bytes - MARGIN) / BLOCK);
  try {
    await runTool(mke2fs, ['-q', '-F', ...EXT4, ...SIZES, ...reserved(blocks), file, String(blocks)]);
    await reserveJournal(file, BLOCK);
  } catch (error) {
    throw error instanceof SandboxError ? error : notWritten(directory, error);
  }
  flush(file);
  const layers = layersOf(directory);
  mkdirSync(layers, { mode: 0o700 });
  const endUse = await useState({ type: 'directory', path: directory });
  try {
    chmodSync(layers, 0o700);
    valueOr(() => rmdirSync(join(layers, 'lost+found')), undefined);
    // As a new directory there would have it.
    const label = labelOf(directory);
    if (label !== undefined) fileLabeller(label)(Buffer.from(layers));
    return endUse;
  } catch (error) {
    await endUse();
    throw error;
  }
}

function reserved(blocks: number): string[] {
  const extended = blocks < MOST_BLOCKS ? [EXT4_EXTENDED, `resize=${MOST_BLOCKS}`] : [EXT4_EXTENDED];
  return ['-O', 'resize_inode', '-E', extended.join()];
}

/**
 * A write to a file system fails so where the file with it cannot get larger, be it a call or a program that says so. Without
 * room says either of them that it has none.
 */
function isNotWritten(error: unknown, directory: string): boolean {
  if (error instanceof SandboxError && error.code === NOT_WRITTEN) return false;
  if (isSystemError(error, 'EIO') || isSystemError(error, 'EROFS')) return true;
  if (isFull(error)) return valueOr(() => statfsSync(layersOf(directory)).bavail > 0, false);
  return /input\/output error|i\/o error|read-only file system/i.test(messageOf(error));
}

function notWritten(directory: string, cause: unknown): SandboxError {
  return serviceError(
    NOT_WRITTEN,
    `the file system in ${quote(join(directory, BOUND))}, which bounds the state, cannot be written: ${messageOf(cause)}`,
    'make room for it, or name another directory with --path; if there is room, see dmesg',
    cause,
  );
}

function flush(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
