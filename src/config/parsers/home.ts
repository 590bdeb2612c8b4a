/** `--home tmp|host|DIR` */
import { hostPath } from '../path.js';
import type { Home } from '../types.js';

/**
 * Reads `--home`: what the home directory inside is. A directory of the host that is called `tmp` is `./tmp`.
 * @param option the name of the option, for messages
 * @throws SandboxError `path-empty`, `working-directory-gone`
 */
export function parseHome(text: string, option: string): Home {
  if (text === 'tmp' || text === 'host') return { type: text };
  return { type: 'directory', path: hostPath(text, option) };
}
