/** `--mount TYPE:TARGET=SOURCE`. */
import { argumentError, quote } from '../errors.js';
import { hostPath } from '../path.js';
import type { Mount } from '../types.js';
import { cutOptions, guessFormat } from './disk-image.js';
import { parseSize } from './size.js';
import { splitOnce } from './text.js';

const SYNTAX =
  'write host-bind:TARGET=[DIR][,ro], host-image:TARGET=FILE[,format=FORMAT][,ro], ' +
  'guest-bind:TARGET=DIR or ram:TARGET=SIZE';

/**
 * Reads one mount. The type ends at the first `:`, the target at the first `=`.
 * - `host-bind:TARGET=[DIR][,ro]`: without DIR a fresh empty directory
 * - `host-image:TARGET=FILE[,format=FORMAT][,ro]`: the format is guessed from the file's extension
 * - `guest-bind:TARGET=DIR`: DIR is a directory of the guest
 * - `ram:TARGET=SIZE`: bytes, or with K, KiB, M, MiB, G, GiB
 *
 * A relative host path starts at the working directory.
 * @throws SandboxError `mount-type-missing`, `mount-type-unknown`, `mount-source-missing`, `mount-option-unknown`,
 *   `mount-format-unknown`, `mount-source-not-absolute`, and those of {@link parseSize}
 */
export function parseMount(text: string): Mount {
  const what = `mount ${quote(text)}`;
  const typed = splitOnce(text, ':');
  if (typed === undefined) throw argumentError('mount-type-missing', `${what} has no type`, SYNTAX);
  const [type, rest] = typed;
  if (!isMountType(type)) {
    throw argumentError('mount-type-unknown', `${what} has the unknown type ${quote(type)}`, SYNTAX);
  }
  const [target, source] = splitOnce(rest, '=') ?? [rest, undefined];
  if (source === undefined || (source === '' && type !== 'host-bind')) {
    throw argumentError('mount-source-missing', `${what} has no source`, SYNTAX);
  }
  return READERS[type](target, source, what);
}

const READERS = {
  'host-bind'(target: string, text: string, what: string): Mount {
    const { source, readOnly } = cutOptions(text, what, 'mount', { readOnly: true });
    const directory = source === '' ? undefined : hostPath(source, what);
    return { type: 'host-bind', target, source: directory, readOnly, includes: [] };
  },

  'host-image'(target: string, text: string, what: string): Mount {
    const { source, format, readOnly } = cutOptions(text, what, 'mount', { format: true, readOnly: true });
    if (source === '') throw argumentError('mount-source-missing', `${what} has no source`, SYNTAX);
    const path = hostPath(source, what);
    return { type: 'host-image', target, source: path, format: format ?? guessFormat(path), readOnly, includes: [] };
  },

  'guest-bind'(target: string, source: string, what: string): Mount {
    if (!source.startsWith('/')) {
      throw argumentError(
        'mount-source-not-absolute',
        `${what} binds ${quote(source)}, which is not an absolute path`,
        'write the path of a directory inside, beginning with /',
      );
    }
    return { type: 'guest-bind', target, source, includes: [] };
  },

  ram(target: string, size: string, what: string): Mount {
    return { type: 'ram', target, usage: parseSize(size, what, 1), includes: [] };
  },
};

function isMountType(type: string): type is keyof typeof READERS {
  return Object.hasOwn(READERS, type);
}
