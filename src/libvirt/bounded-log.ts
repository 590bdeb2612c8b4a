/**
 * Bounds the log that QEMU writes to a file. A guest can provoke any number of messages, and the file is in memory, in
 * /run. virtlogd does this for libvirt's daemons; the embedded driver has none.
 */
import { truncateSync, watch, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { makeDirectories } from '../util/directories.js';
import { isSystemError, valueOr } from '../util/errors.js';
import { sizeOf } from './domain-logs.js';

/** A longer log is cut. In bytes. */
export const LOG_BYTES = 256 << 10;

/** What stays of it: its beginning, with QEMU's command line and first messages. In bytes. */
export const KEPT_BYTES = 64 << 10;

/** How often to look where inotify(7) has no instance left, in milliseconds. */
const LOOK_MS = 200;

/**
 * Makes an empty log, and cuts it whenever it is longer than {@link LOG_BYTES}. libvirt has QEMU append to it, so what
 * comes next follows what stays.
 *
 * @returns a function that ends this
 * @throws a system error if the log cannot be made
 */
export function boundLog(path: string): () => void {
  makeDirectories(dirname(path));
  writeFileSync(path, '', { mode: 0o600 });
  return watchFile(path, () => {
    // It may be removed meanwhile, with the sandbox.
    if (sizeOf(path) > LOG_BYTES) valueOr(() => truncateSync(path, KEPT_BYTES), undefined);
  });
}

/** Calls `look` when the file has changed. @returns a function that ends this */
function watchFile(path: string, look: () => void): () => void {
  try {
    const watcher = watch(path, { persistent: false }, look);
    watcher.on('error', () => {});
    return () => watcher.close();
  } catch (error) {
    if (!isSystemError(error)) throw error;
    const timer = setInterval(look, LOOK_MS).unref();
    return () => clearInterval(timer);
  }
}
