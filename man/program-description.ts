/**
 * The description of a program: the table of its options, which the parser uses too, and a longer text for each option.
 */
import type { Options } from 'yargs';

/** What a shell offers as the value of an option. */
export type Completion =
  /** Nothing. */
  | 'none'
  | 'file'
  | 'directory'
  /** A user of the host. */
  | 'user'
  /** The version of an installed kernel. */
  | 'kernel'
  /** The name of a running sandbox. */
  | 'sandbox'
  /** The name of a pool. */
  | 'pool'
  /** The name of an OCI image that is there. */
  | 'image'
  /** The name of a service. */
  | 'service'
  /** A unit of the host, or a template as `NAME@`. */
  | 'unit'
  /** An installed package of the host. */
  | 'package'
  /** A path of the host, or `NAME:PATH`, of a running sandbox. */
  | 'sandbox-path'
  /** `GUEST=HOST`, both of them paths. */
  | 'paths'
  /** One of these words. A word that ends with `=`, `:` or `/` only begins a value. */
  | { readonly words: readonly string[] }
  /** Some of these words, separated by commas. */
  | { readonly list: readonly string[] }
  /** `TYPE:NAME=FILE` */
  | { readonly types: readonly string[] };

/** What the parser does not know about an option. */
export interface Detail {
  /** The name of its value: `FILE`. */
  readonly value?: string;
  readonly complete?: Completion;
  /** Paragraphs of the manual page. Undefined: the manual page shows the line of the help. */
  readonly text?: readonly Paragraph[];
}

/**
 * A paragraph: a text, a list of terms, or a block that is shown unchanged.
 * In a text `code` is typed literally, and *word* stands for a value.
 */
export type Paragraph =
  | string
  | { readonly terms: readonly (readonly [string, string])[] }
  | { readonly block: string };

export interface Section {
  readonly title: string;
  readonly body: readonly Paragraph[];
}

/** One of several commands of a program. */
export interface Command {
  /** In the notation of yargs: the name, of one or two words, <required> and [optional] arguments. */
  readonly command: string;
  readonly describe: string;
  readonly options: Readonly<Record<string, Options>>;
  /** Whether another command line follows its first argument. */
  readonly runs?: true;
}

export interface Program {
  readonly name: string;
  /** What it does, in one line. */
  readonly summary: string;
  /** Its usage, without its name. */
  readonly usage: string;
  readonly description: readonly Paragraph[];
  /** Options of the program itself. */
  readonly options: Readonly<Record<string, Options>>;
  readonly commands?: Readonly<Record<string, Command>>;
  /** By the option's long name. An option of this name has the same details in every command. */
  readonly details: Readonly<Record<string, Detail>>;
  /** Whether another command line follows the options. */
  readonly runs: 'a command' | 'nothing';
  /** What a shell offers as an argument of a command: of each, or by its name. */
  readonly argument?: Completion;
  readonly argumentsOf?: Readonly<Record<string, Completion>>;
  readonly sections: readonly Section[];
  /** What shells complete, where that is more than the page shows. */
  readonly offered?: Program;
}

/** The commands that share a first word, by their second one: those of `pool create` and `pool rm` for `pool`. */
export function groupsOf({ commands = {} }: Program): ReadonlyMap<string, readonly string[]> {
  const groups = new Map<string, string[]>();
  for (const [first = '', second] of Object.keys(commands).map((name) => name.split(' ')))
    if (second !== undefined) groups.set(first, [...(groups.get(first) ?? []), second]);
  return groups;
}

/** What a shell offers as an argument of a command. */
export function argumentOf({ argument = 'none', argumentsOf = {} }: Program, command: string): Completion {
  return argumentsOf[command] ?? argument;
}

/** Options of every program. */
export const COMMON: Readonly<Record<string, Options>> = {
  help: { alias: 'h', type: 'boolean', describe: 'print the help, and exit' },
  version: { alias: 'V', type: 'boolean', describe: 'print name and version, and exit' },
};

/** An option with all that a manual page and a completion need. */
export interface Listed {
  readonly name: string;
  /** `-n`, `--name`: the short one first. */
  readonly words: readonly string[];
  readonly short: string | undefined;
  readonly describe: string;
  /** The next word is its value. */
  readonly takesValue: boolean;
  /** It may have a value, behind a `=` only. */
  readonly mayHaveValue: boolean;
  readonly repeats: boolean;
  readonly detail: Detail;
}

/** The options of a table in its order, then the common ones. */
export function listed(table: Readonly<Record<string, Options>>, details: Program['details']): readonly Listed[] {
  return Object.entries({ ...table, ...COMMON }).map(([name, option]) => {
    const short = typeof option.alias === 'string' ? option.alias : undefined;
    return {
      name,
      words: [...(short === undefined ? [] : [`-${short}`]), `--${name}`],
      short,
      describe: option.describe ?? '',
      takesValue: option.type !== 'boolean' && option.requiresArg !== false,
      mayHaveValue: option.requiresArg === false,
      repeats: option.array === true,
      detail: details[name] ?? {},
    };
  });
}
