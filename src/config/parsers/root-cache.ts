/** `--root-cache auto|never|always` */
import { argumentError, quote } from '../errors.js';
import type { RootCache } from '../types.js';

/**
 * Reads `--root-cache`: what the guest keeps of the root that it has read.
 * @param option the name of the option, for messages
 * @throws SandboxError `root-cache-unknown`
 */
export function parseRootCache(text: string, option: string): RootCache {
  if (text === 'auto' || text === 'never' || text === 'always') return text;
  throw argumentError('root-cache-unknown', `${option} cannot be ${quote(text)}`, 'give auto, never or always');
}
