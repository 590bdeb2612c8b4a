/** The words of this program's command line, as they were given: Node puts U+FFFD in place of what is not UTF-8. */
import { readFileSync } from 'node:fs';
import { SandboxError } from '../util/errors.js';
import { isRaw, textOf } from '../util/raw-text.js';

/** Those behind the program, with what is not UTF-8 as raw-text.ts has it. */
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
 * Checks a word that is not handed on as it is.
 * @throws {SandboxError} `not-utf8`
 */
export function refuseRaw(word: string, what: string): void {
  if (!isRaw(word)) return;
  throw new SandboxError({
    stage: 'arguments',
    code: 'not-utf8',
    message: `${what} ${JSON.stringify(word)} is not UTF-8`,
    remedy: 'rename the file, or make a link to it that has another name',
  });
}
