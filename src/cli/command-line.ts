/**
 * Reads a command line by a table of options, in the grammar of GOption, which libvirt-sandbox used: `--name VALUE`,
 * `--name=VALUE`, `-n VALUE`, `-nVALUE`, and flags together as in `-vd`. A value may begin with a hyphen. An option with
 * `requiresArg: false` has a value only behind a `=`.
 *
 * yargs is no choice here. Every start and every `exec` reads a command line, and yargs would take longer than the rest
 * of the program (docs/decisions/0012-program-start.md). It also reads `-eKEY=VALUE` as other options.
 */
import type { Options } from 'yargs';
import { usageError } from './usage-error.js';

/** A command line by its parts. */
export interface CommandLine {
  /** By long name. A flag is true, and so is an option without its value; an option that repeats has all of its values, any other its last. */
  readonly values: ReadonlyMap<string, string | true | readonly string[]>;
  /** Whichever of `--help` and `--version` came first; the words after it were not read. */
  readonly asks: 'help' | 'version' | undefined;
  /** The words after `--`, or from the first word that is not an option; with `anywhere` all that are no options. */
  readonly rest: readonly string[];
}

export interface ReadOptions {
  /** Options may also stand behind other words, up to `--`. */
  readonly anywhere?: boolean;
}

const ASKS = { help: { alias: 'h', type: 'boolean' }, version: { alias: 'V', type: 'boolean' } } as const;

/**
 * @param program its name, for the remedy
 * @throws {SandboxError} `usage` for an unknown option, a value that is missing, and a value given to a flag
 */
export function readCommandLine(
  argv: readonly string[],
  table: Readonly<Record<string, Options>>,
  program: string,
  { anywhere = false }: ReadOptions = {},
): CommandLine {
  const known: Readonly<Record<string, Options>> = { ...table, ...ASKS };
  const longOf = new Map(Object.entries(known).map(([name, { alias }]) => [alias, name]));
  const values = new Map<string, string | true | string[]>();
  const fail = (message: string) => usageError(message, program);

  /** Takes one option; `attached` is a value in the same word. @returns how many further words it took */
  const take = (name: string, shown: string, attached: string | undefined, next: string | undefined): number => {
    const option = known[name];
    if (option === undefined || !Object.hasOwn(known, name)) throw fail(unknown(shown, Object.keys(known)));
    if (option.type === 'boolean') {
      if (attached !== undefined) throw fail(`${shown} takes no value, and was given ${JSON.stringify(attached)}`);
      values.set(name, true);
      return 0;
    }
    if (attached === undefined && option.requiresArg === false) {
      values.set(name, true);
      return 0;
    }
    const value = attached ?? next;
    if (value === undefined) throw fail(`${shown} has no value`);
    const earlier = values.get(name);
    if (option.array !== true) values.set(name, value);
    else if (Array.isArray(earlier)) earlier.push(value);
    else values.set(name, [value]);
    return attached === undefined ? 1 : 0;
  };

  const rest: string[] = [];
  let at = 0;
  for (; at < argv.length; at += 1) {
    const word = argv[at] ?? '';
    if (!word.startsWith('-') || word === '-') {
      if (!anywhere) break;
      rest.push(word);
      continue;
    }
    if (word === '--') return { values, asks: undefined, rest: [...rest, ...argv.slice(at + 1)] };
    if (word.startsWith('--')) {
      const equals = word.indexOf('=');
      const name = word.slice(2, equals < 0 ? undefined : equals);
      at += take(name, `--${name}`, equals < 0 ? undefined : word.slice(equals + 1), argv[at + 1]);
    } else {
      at += takeShort(word, argv[at + 1], longOf, known, take);
    }
    const asks = values.has('help') ? 'help' : values.has('version') ? 'version' : undefined;
    if (asks) return { values, asks, rest: [] };
  }
  return { values, asks: undefined, rest: [...rest, ...argv.slice(at)] };
}

/** `-n VALUE`, `-nVALUE`, `-vd`, `-vn VALUE`. */
function takeShort(
  word: string,
  next: string | undefined,
  longOf: ReadonlyMap<Options['alias'], string>,
  known: Readonly<Record<string, Options>>,
  take: (name: string, shown: string, attached: string | undefined, next: string | undefined) => number,
): number {
  for (let at = 1; at < word.length; at += 1) {
    const letter = word.charAt(at);
    const name = longOf.get(letter) ?? '';
    const flag = known[name]?.type === 'boolean' || name === '';
    const behind = word.slice(at + 1);
    // After a flag comes another flag; `-p=false` gives it a value, which is refused.
    const attached = flag ? (behind.startsWith('=') ? behind.slice(1) : undefined) : behind || undefined;
    const taken = take(name, `-${letter}`, attached, next);
    if (!flag) return taken;
  }
  return 0;
}

/** The message for an unknown option; it names the known one that is nearest. */
function unknown(shown: string, names: readonly string[]): string {
  const wanted = shown.replace(/^-+/, '');
  const near = names.filter((name) => wanted.length > 2 && (name.startsWith(wanted) || distance(name, wanted) <= 2));
  const [nearest] = near.sort((a, b) => distance(a, wanted) - distance(b, wanted));
  return `there is no option ${shown}${nearest === undefined ? '' : `, but there is --${nearest}`}`;
}

/** Levenshtein distance: how many letters differ. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (const [index, letter] of [...a].entries()) {
    const next = [index + 1];
    for (let at = 1; at <= b.length; at += 1) {
      const replaced = (row[at - 1] ?? 0) + (letter === b[at - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[at] ?? 0) + 1, (next[at - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
