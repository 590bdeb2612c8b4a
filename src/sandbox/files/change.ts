/** Makes, removes and renames files inside. */
import { type FileAccess, outputOf } from './access.js';
import { checkFileCall } from './schema.js';
import type { FileOptions, MkdirOptions, RemoveOptions } from './types.js';

const USUAL_MODE = 0o755;

/** @throws as `Files.mkdir` */
export async function makeDirectory(access: FileAccess, path: string, options: MkdirOptions): Promise<void> {
  checkFileCall('mkdir', [path], options);
  const { parents = false, mode = USUAL_MODE } = options;
  const argv = ['mkdir', path, String(mode), word(parents)];
  await outputOf(access, { argv, action: 'make the directory', path }, options);
}

/** @throws as `Files.remove` */
export async function removeFile(access: FileAccess, path: string, options: RemoveOptions): Promise<void> {
  checkFileCall('remove', [path], options);
  const { recursive = false, force = false } = options;
  await outputOf(access, { argv: ['remove', path, word(recursive), word(force)], action: 'remove', path }, options);
}

/** @throws as `Files.rename` */
export async function renameFile(access: FileAccess, from: string, to: string, options: FileOptions): Promise<void> {
  checkFileCall('other', [from, to], options);
  await outputOf(access, { argv: ['rename', from, to], action: 'rename', path: `${from} to ${to}` }, options);
}

function word(flag: boolean): string {
  return flag ? '1' : '0';
}
