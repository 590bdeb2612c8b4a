/** `--root-fs auto|9p|virtiofs` */
import { argumentError, quote } from '../errors.js';
import type { RootFs } from '../types.js';

/**
 * Reads `--root-fs`: what serves the root of a machine.
 * @param option the name of the option, for messages
 * @throws SandboxError `root-fs-unknown`
 */
export function parseRootFs(text: string, option: string): RootFs {
  if (text === 'auto' || text === '9p' || text === 'virtiofs') return text;
  throw argumentError('root-fs-unknown', `${option} cannot be ${quote(text)}`, 'give auto, 9p or virtiofs');
}
