/** Makes, removes and renames files inside. */
import { type FileAccess, runToEnd } from './access.js';
import { checkFileCall } from './schema.js';
import type { FileOptions, MkdirOptions, RemoveOptions } from './types.js';

const USUAL_MODE = 0o755;

/** @throws as `Files.mkdir` */
export async function makeDirectory(access: FileAccess, path: string, options: MkdirOptions): Promise<void> {
  checkFileCall('mkdir', [path], options);
  const { parents = false, mode = USUAL_MODE } = options;
  const argv = ['mkdir', path, String(mode), word(parents)];
  await runToEnd(access, { argv, paths: [path], action: 'make the directory', path }, options);
}

/** @throws as `Files.remove` */
export async function removeFile(access: FileAccess, path: string, options: RemoveOptions): Promise<void> {
  checkFileCall('remove', [path], options);
  const { recursive = false, force = false } = options;
  const argv = ['remove', path, word(recursive), word(force)];
  await runToEnd(access, { argv, paths: [path], action: 'remove', path }, options);
}

/** @throws as `Files.rename` */
export async function renameFile(access: FileAccess, from: string, to: string, options: FileOptions): Promise<void> {
  checkFileCall('other', [from, to], options);
  const paths = [from, to];
  await runToEnd(access, { argv: ['rename', ...paths], paths, action: 'rename', path: `${from} to ${to}` }, options);
}

function word(flag: boolean): string {
  return flag ? '1' : '0';
}
