/** Programs with commands: the table of these, and the words and options of one that was given. */
import type { Options } from 'yargs';

/** One command. */
export interface CommandEntry {
  /** In the syntax of yargs: the name, of one or two words, then <required> and [optional] arguments. */
  readonly command: string;
  readonly describe: string;
  readonly options: Readonly<Record<string, Options>>;
  /** Whether the first word that is no option begins what is not read as options. */
  readonly runs?: true;
}

/** The options that were given, by long name, and the words beside them. */
export interface CommandArguments {
  readonly values: ReadonlyMap<string, string | true | readonly string[]>;
  readonly words: readonly string[];
}

/** An option with a value. */
export function textOption(describe: string, alias?: string): Options {
  return { type: 'string', requiresArg: true, describe, ...(alias === undefined ? {} : { alias }) };
}

/** An option without a value. */
export function flagOption(describe: string, alias?: string): Options {
  return { type: 'boolean', describe, ...(alias === undefined ? {} : { alias }) };
}

/**
 * What is wrong with the number of words by the command's syntax, `exec <name> <command..>`; undefined: nothing.
 * @param name of the command
 */
export function wordsProblem(name: string, { command }: CommandEntry, words: readonly string[]): string | undefined {
  const parameters = command.slice(name.length).split(' ').slice(1);
  const required = parameters.filter((parameter) => parameter.startsWith('<'));
  const missing = required[words.length];
  if (missing !== undefined) return `${name} lacks its ${missing.replaceAll(/[<>[\].]/g, '').toUpperCase()}`;
  const takesMore = parameters.at(-1)?.includes('..') === true;
  const extra = words[parameters.length];
  return extra === undefined || takesMore ? undefined : `${name} has a word too many: ${JSON.stringify(extra)}`;
}

/** The value of an option; the last one if it was given more than once. */
export function textOf({ values }: CommandArguments, name: string): string | undefined {
  const value = values.get(name);
  return typeof value === 'string' ? value : undefined;
}

/** The values of an option that repeats. */
export function textsOf({ values }: CommandArguments, name: string): readonly string[] {
  const value = values.get(name);
  return Array.isArray(value) ? value : [];
}

/** Whether a flag was given. */
export function isSet({ values }: CommandArguments, name: string): boolean {
  return values.has(name);
}
