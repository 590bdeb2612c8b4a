/** What the manual knows of a program: the table of its options, which its parser has too, and for each option more than fits a line of help. */
import type { Options } from 'yargs';

/** What a shell offers for a value. */
export type Completion =
  /** Nothing that a shell could know. */
  | 'none'
  | 'file'
  | 'directory'
  /** A user of the host. */
  | 'user'
  /** The version of an installed kernel. */
  | 'kernel'
  /** The name of a running sandbox. */
  | 'sandbox'
  /** `GUEST=HOST`, both of them paths. */
  | 'paths'
  /** One of these words; one that ends with `=`, `:` or `/` is only the beginning of a value. */
  | { readonly words: readonly string[] }
  /** Some of these words with commas between them. */
  | { readonly list: readonly string[] }
  /** `TYPE:NAME=FILE` */
  | { readonly types: readonly string[] };

/** An option beside what its parser knows of it. */
export interface Detail {
  /** What its value is called: `FILE`. */
  readonly value?: string;
  readonly complete?: Completion;
  /** Paragraphs for the manual page; the line of the help stands there where there are none. */
  readonly text?: readonly Paragraph[];
}

/**
 * A paragraph. In a text `code` is what is typed and *word* is what is put in place of it; a list explains terms; a block is shown as it is.
 */
export type Paragraph =
  | string
  | { readonly terms: readonly (readonly [string, string])[] }
  | { readonly block: string };

export interface Section {
  readonly title: string;
  readonly body: readonly Paragraph[];
}

/** The command of a program that has several. */
export interface Command {
  /** As yargs has it: the name, <needed> and [optional] arguments. */
  readonly command: string;
  readonly describe: string;
  readonly options: Readonly<Record<string, Options>>;
}

export interface Program {
  readonly name: string;
  /** What it does, in a line. */
  readonly summary: string;
  /** Its usage, without its name. */
  readonly usage: string;
  readonly description: readonly Paragraph[];
  /** Options of the program itself. */
  readonly options: Readonly<Record<string, Options>>;
  readonly commands?: Readonly<Record<string, Command>>;
  /** By the option's long name, in whichever command it is. */
  readonly details: Readonly<Record<string, Detail>>;
  /** What a command line ends with: another command line, or nothing of the kind. */
  readonly runs: 'a command' | 'nothing';
  /** What a shell offers for the arguments of a command. */
  readonly argument?: Completion;
  readonly sections: readonly Section[];
}

/** Every program has these. */
export const COMMON: Readonly<Record<string, Options>> = {
  help: { alias: 'h', type: 'boolean', describe: 'print the help, and exit' },
  version: { alias: 'V', type: 'boolean', describe: 'print name and version, and exit' },
};

/** One option as a shell and a manual page see it. */
export interface Listed {
  readonly name: string;
  /** `-n`, `--name`: the short one first. */
  readonly words: readonly string[];
  readonly short: string | undefined;
  readonly describe: string;
  readonly takesValue: boolean;
  readonly repeats: boolean;
  readonly detail: Detail;
}

/** The options of a table in its order, and then what every program has. */
export function listed(table: Readonly<Record<string, Options>>, details: Program['details']): readonly Listed[] {
  return Object.entries({ ...table, ...COMMON }).map(([name, option]) => {
    const short = typeof option.alias === 'string' ? option.alias : undefined;
    return {
      name,
      words: [...(short === undefined ? [] : [`-${short}`]), `--${name}`],
      short,
      describe: option.describe ?? '',
      takesValue: option.type !== 'boolean',
      repeats: option.array === true,
      detail: details[name] ?? {},
    };
  });
}
