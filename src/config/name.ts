/** What can be the name of a sandbox. */
import { configError, quote } from './errors.js';
import { hasControlCharacter } from './parsers/text.js';

/** Bytes. A file name has at most 255, and libvirt and the state directory add to the sandbox's name. */
const LONGEST_NAME = 200;

/**
 * Checks that `name` can name a domain of libvirt and a directory.
 * @throws SandboxError `name-invalid`, `name-too-long`
 */
export function checkName(name: string): void {
  const remedy = `choose a name of 1 to ${LONGEST_NAME} bytes without / and control characters, and without . in front`;
  // Names with a dot are for what is in the same directory and is no sandbox.
  if (name.trim() === '' || name.startsWith('.') || name.includes('/') || hasControlCharacter(name)) {
    throw configError('name-invalid', `${quote(name)} cannot be the name of a sandbox`, remedy);
  }
  if (Buffer.byteLength(name) > LONGEST_NAME) {
    throw configError('name-too-long', `the name ${quote(name)} is too long`, remedy);
  }
}

/**
 * Refuses what names no entry of a directory, but the directory itself, one above it, or one below an entry.
 * @throws SandboxError `name-invalid`
 */
export function checkEntry(name: string): void {
  if (name !== '' && name !== '.' && name !== '..' && !/[/\0]/.test(name)) return;
  throw configError(
    'name-invalid',
    `${quote(name)} cannot be the name of a directory`,
    'choose a name without / and control characters, and without . in front',
  );
}
