/** `--disk TYPE:TAG=SOURCE[,format=F][,ro]`. */
import { argumentError, quote } from '../errors.js';
import { hostPath } from '../path.js';
import type { Disk } from '../types.js';
import { cutOptions, guessFormat } from './disk-image.js';
import { splitOnce } from './text.js';

const SYNTAX = 'write file:TAG=IMAGE[,format=FORMAT][,ro] or block:TAG=DEVICE[,format=FORMAT][,ro]';

/**
 * Reads one disk: `file:TAG=IMAGE[,format=F][,ro]` or `block:TAG=DEVICE[,format=F][,ro]`. The format of a file is
 * guessed from its extension; a block device is raw, whatever its name. A relative path starts at the working
 * directory.
 * @throws SandboxError `disk-type-missing`, `disk-type-unknown`, `disk-tag-missing`, `disk-source-missing`,
 *   `disk-option-unknown`, `disk-format-unknown`
 */
export function parseDisk(text: string): Disk {
  const what = `disk ${quote(text)}`;
  const typed = splitOnce(text, ':');
  if (typed === undefined) throw argumentError('disk-type-missing', `${what} has no type`, SYNTAX);
  const [type, rest] = typed;
  if (type !== 'file' && type !== 'block') {
    throw argumentError('disk-type-unknown', `${what} has the unknown type ${quote(type)}`, SYNTAX);
  }
  const [tag, value] = splitOnce(rest, '=') ?? [rest, ''];
  if (tag === '') throw argumentError('disk-tag-missing', `${what} has no tag`, SYNTAX);
  const { source, format, readOnly } = cutOptions(value, what, 'disk', { format: true, readOnly: true });
  if (source === '') throw argumentError('disk-source-missing', `${what} has no source`, SYNTAX);
  const guessed = type === 'block' ? 'raw' : guessFormat(source);
  return { type, tag, source: hostPath(source, what), format: format ?? guessed, readOnly };
}
