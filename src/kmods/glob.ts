/** The patterns of module aliases: what they use of fnmatch(3) without flags. */

/** Any number of characters. */
const ANY = Symbol('*');

type Part = typeof ANY | ((character: string) => boolean);

/**
 * Whether the whole of a text matches `pattern`. Takes at most the product of their lengths in steps: only the last `*`
 * is ever tried again, since an earlier one that takes more leaves less for all that follows.
 */
export function globMatcher(pattern: string): (text: string) => boolean {
  const parts = partsOf(pattern);
  return (text) => matches(parts, text);
}

function matches(parts: readonly Part[], text: string): boolean {
  let part = 0;
  let at = 0;
  /** The part behind the last `*`, and where the text goes on if that takes one character more. */
  let retry: { part: number; at: number } | undefined;
  while (at < text.length) {
    const current = parts[part];
    if (current === ANY) {
      part += 1;
      retry = { part, at: at + 1 };
    } else if (current?.(text.charAt(at)) === true) {
      part += 1;
      at += 1;
    } else if (retry !== undefined) {
      ({ part, at } = retry);
      retry = { part, at: at + 1 };
    } else return false;
  }
  return parts.slice(part).every((left) => left === ANY);
}

function partsOf(pattern: string): Part[] {
  return bracketed(pattern).map((word) => {
    if (word === '*') return ANY;
    if (word === '?') return () => true;
    return word.length > 1 ? bracket(word.slice(1, -1)) : (character) => character === word;
  });
}

/** The characters of a pattern; a bracket expression is one. A `[` without its `]` stands for itself. */
export function bracketed(pattern: string): string[] {
  const words: string[] = [];
  // A regular expression would look for the `]` of each `[` to the end.
  const last = pattern.lastIndexOf(']');
  for (let at = 0; at < pattern.length; at += words.at(-1)?.length ?? 1) {
    const end = pattern.charAt(at) === '[' && at < last ? pattern.indexOf(']', at) : at;
    words.push(pattern.slice(at, end + 1));
  }
  return words;
}

/** `[a-f0-9]`, and with `!` or `^` first all other characters. A range whose end is before its start has none. */
function bracket(inside: string): (character: string) => boolean {
  const isNegated = /^[!^]/.test(inside);
  const members = (isNegated ? inside.slice(1) : inside).match(/[\s\S]-[\s\S]|[\s\S]/g) ?? [];
  return (character) =>
    isNegated !==
    members.some((member) =>
      member.length > 1 ? member.charAt(0) <= character && character <= member.charAt(2) : member === character,
    );
}
