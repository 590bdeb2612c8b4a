/** What the host has too little of: the reason of failures that say nothing about the thing that failed. */
import { isSystemError, messageOf } from './errors.js';

export type Shortage = 'files' | 'space' | 'memory';

const CODES: Readonly<Record<string, Shortage>> = {
  EMFILE: 'files',
  ENFILE: 'files',
  ENOSPC: 'space',
  EDQUOT: 'space',
  ENOMEM: 'memory',
};

/** Texts of strerror(3), as libvirt and QEMU pass them on, and their own. */
const TEXTS: readonly (readonly [RegExp, Shortage])[] = [
  [/Too many open files/, 'files'],
  [
    /No space left on device|Disk quota exceeded|Failed to write pid file[^:]*$|failed to write master key file[^:]*$|what it said could not be written down/,
    'space',
  ],
  [/Cannot allocate memory|cannot set up guest memory/, 'memory'],
];

/** What the host lacks, by an error or by what caused it; undefined if it does not say so. */
export function shortageOf(error: unknown): Shortage | undefined {
  for (let at = error; at instanceof Error; at = at.cause) {
    const code = isSystemError(at) ? CODES[at.code ?? ''] : undefined;
    if (code !== undefined) return code;
  }
  return TEXTS.find(([text]) => text.test(messageOf(error)))?.[1];
}
