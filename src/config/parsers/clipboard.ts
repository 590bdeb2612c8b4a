/** `--clipboard none|host-to-guest|both` */
import { argumentError, quote } from '../errors.js';
import { CLIPBOARDS, type Clipboard } from '../graphics-types.js';

/**
 * @param option the name of the option, for messages
 * @throws {SandboxError} `clipboard-unknown`
 */
export function parseClipboard(text: string, option: string): Clipboard {
  const clipboard = CLIPBOARDS.find((name) => name === text);
  if (clipboard !== undefined) return clipboard;
  throw argumentError(
    'clipboard-unknown',
    `${option} cannot be ${quote(text)}`,
    `write one of ${CLIPBOARDS.join(', ')}`,
  );
}
