/** `--overlay[=memory|DIR|FILE.qcow2]` */
import { argumentError, quote } from '../errors.js';
import { hostPath } from '../path.js';
import type { Overlay } from '../types.js';
import { guessFormat } from './disk-image.js';

/**
 * Reads where what is written to the root goes. A path that ends with a slash is always a directory. Another word
 * without a slash is no directory: `--overlay=1G` would make one.
 * @param option the name of the option, for messages
 * @throws SandboxError `overlay-unknown`, `overlay-format-unknown`, `working-directory-gone`
 */
export function parseOverlay(text: string, option: string): Overlay {
  if (text === 'memory') return { type: 'memory' };
  const format = guessFormat(text);
  if (format === 'qcow2') return { type: 'image', path: hostPath(text, option) };
  if (format !== 'raw' || /\.(raw|img)$/i.test(text))
    throw argumentError(
      'overlay-format-unknown',
      `${option} cannot be the image ${quote(text)}: one that keeps an overlay has the format qcow2`,
      `name a file that ends with .qcow2, or a directory, with a slash at its end`,
    );
  if (text.includes('/')) return { type: 'directory', path: hostPath(text, option) };
  throw argumentError(
    'overlay-unknown',
    `${option} cannot be ${quote(text)}`,
    `give memory, a directory with a slash in its path (${directoryOf(text)}), or a file that ends with .qcow2`,
  );
}

function directoryOf(word: string): string {
  return word === '' ? './DIR' : `./${word}`;
}
