/** The words of this program's command line, byte for byte: Node.js replaces bytes that are not UTF-8 by U+FFFD. */
import { readFileSync } from 'node:fs';
import { SandboxError } from '../util/errors.js';
import { isRaw, textOf } from '../util/raw-text.js';

/** The words after the program's name; bytes that are not UTF-8 are kept as raw-text.ts describes. */
export function givenWords(): string[] {
  const words = process.argv.slice(2);
  if (!words.some((word) => word.includes('\ufffd'))) return words;
  const given: string[] = [];
  const line = readFileSync('/proc/self/cmdline');
  for (let at = 0; at < line.length; ) {
    const end = line.indexOf(0, at);
    given.push(textOf(line.subarray(at, end)));
    at = end + 1;
  }
  return given.slice(-words.length);
}

/**
 * Refuses bytes that are not UTF-8 in a word that this program interprets.
 * @param what the word's name, for the message
 * @throws {SandboxError} `not-utf8`
 */
export function refuseRaw(word: string, what: string): void {
  if (!isRaw(word)) return;
  throw new SandboxError({
    stage: 'arguments',
    code: 'not-utf8',
    message: `${what} ${JSON.stringify(word)} is not UTF-8`,
    remedy: 'rename the file, or make a link to it with a name in UTF-8',
  });
}
