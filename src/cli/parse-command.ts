/** The command line of a program with commands, parsed: which command it names, and that one's options and words. */
import type { Options } from 'yargs';
import { readCommandLine } from './command-line.js';
import { type CommandArguments, type CommandEntry, wordsProblem } from './command-table.js';
import { usageError } from './usage-error.js';

export type CommandRequest<Name extends string> =
  | { readonly command: Name; readonly args: CommandArguments }
  /** `of`: a command; undefined: the program. */
  | { readonly asks: 'help' | 'version'; readonly of: Name | undefined };

/** A program with commands. */
export interface CommandProgram<Name extends string> {
  readonly program: string;
  readonly commands: Readonly<Record<Name, CommandEntry>>;
}

export interface ParseOptions<Name extends string> {
  /**
   * Finds the command in words, of which there is one at least.
   * @returns its name, and the words behind it; undefined if the help of the program is asked for
   */
  readonly find: (words: readonly string[]) => { readonly name: Name; readonly own: readonly string[] } | undefined;
  /** Default: those of the command's entry. */
  readonly optionsOf?: (entry: CommandEntry) => Readonly<Record<string, Options>>;
}

/** @throws {SandboxError} `usage`, and what `find` throws */
export function parseCommand<Name extends string>(
  argv: readonly string[],
  { program, commands }: CommandProgram<Name>,
  { find, optionsOf = ({ options }) => options }: ParseOptions<Name>,
): CommandRequest<Name> {
  const { asks, rest } = readCommandLine(argv, {}, program);
  if (asks !== undefined) return { asks, of: undefined };
  if (rest.length === 0) throw usageError('no command was given', program);
  const found = find(rest);
  if (found === undefined) return { asks: 'help', of: undefined };
  const { name, own } = found;
  const entry = commands[name];
  const read = readCommandLine(own, optionsOf(entry), `${program} ${name}`, { anywhere: entry.runs === undefined });
  if (read.asks !== undefined) return { asks: read.asks, of: name };
  const problem = wordsProblem(name, entry, read.rest);
  if (problem !== undefined) throw usageError(problem, `${program} ${name}`);
  return { command: name, args: { values: read.values, words: read.rest } };
}

/** The command of a name. @throws {SandboxError} `usage`: there is none */
export function commandCalled<Name extends string>(word: string, { program, commands }: CommandProgram<Name>): Name {
  const isCommand = (name: string): name is Name => Object.hasOwn(commands, name);
  if (isCommand(word)) return word;
  throw usageError(`there is no command ${JSON.stringify(word)}`, program);
}
