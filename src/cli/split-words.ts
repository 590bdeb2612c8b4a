/** Splits a command line in one word as a shell does, by blanks, quotes and backslashes; nothing is expanded. */
import { SandboxError } from '../util/errors.js';

/** @throws {SandboxError} `usage` for a quote that does not end */
export function splitWords(line: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote = '';
  for (let at = 0; at < line.length; at += 1) {
    const letter = line.charAt(at);
    if (quote !== '') {
      if (letter === quote) quote = '';
      else if (letter === '\\' && quote === '"' && /["\\$`]/.test(line.charAt(at + 1))) word += line.charAt(++at);
      else word += letter;
    } else if (/\s/.test(letter)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else {
      word ??= '';
      if (letter === '"' || letter === "'") quote = letter;
      else if (letter === '\\' && at + 1 < line.length) word += line.charAt(++at);
      else word += letter;
    }
  }
  if (quote !== '') {
    throw new SandboxError({
      stage: 'arguments',
      code: 'usage',
      message: `a quote ${quote} does not end in: ${line}`,
      remedy: 'close it',
    });
  }
  return word === undefined ? words : [...words, word];
}
