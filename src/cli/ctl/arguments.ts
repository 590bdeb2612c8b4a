/** The command line of virt-sandbox-ctl, parsed. */
import { readCommandLine } from '../command-line.js';
import { usageError as usageErrorOf } from '../usage-error.js';
import { type CtlCommand, type CtlCommandName, ctlCommands } from './options.js';

export const PROGRAM = 'virt-sandbox-ctl';

/** The options that were given, by long name, and the words beside them. */
export interface CtlArguments {
  readonly values: ReadonlyMap<string, string | true | readonly string[]>;
  readonly words: readonly string[];
}

export type CtlRequest =
  | { readonly command: CtlCommandName; readonly args: CtlArguments }
  /** `of`: a command; undefined: the program. */
  | { readonly asks: 'help' | 'version'; readonly of: CtlCommandName | undefined };

/** @throws {SandboxError} `usage` */
export function parseCtlArguments(argv: readonly string[]): CtlRequest {
  const { asks, rest } = readCommandLine(argv, {}, PROGRAM);
  if (asks !== undefined) return { asks, of: undefined };
  const { name, own } = commandOf(rest);
  if (name === undefined) return { asks: 'help', of: undefined };
  const { command, options, runs }: CtlCommand = ctlCommands[name];
  const read = readCommandLine(own, options, `${PROGRAM} ${name}`, { anywhere: runs === undefined });
  if (read.asks !== undefined) return { asks: read.asks, of: name };
  const args = { values: read.values, words: read.rest };
  checkWords(name, command, args);
  return { command: name, args };
}

/** What `pool` begins. */
const GROUP = 'pool';

/** @returns no name for `pool --help` */
function commandOf([first, ...rest]: readonly string[]): { name: CtlCommandName | undefined; own: readonly string[] } {
  if (first === undefined) throw usageError('no command was given');
  const [second, ...own] = rest;
  if (first !== GROUP && !first.includes(' ')) return { name: commandCalled(first), own: rest };
  if (first !== GROUP) throw usageError(`there is no command ${JSON.stringify(first)}`);
  if (second === '--help' || second === '-h') return { name: undefined, own };
  if (second === undefined) throw usageError('pool lacks its command: create, ls, inspect or rm');
  return { name: commandCalled(`${GROUP} ${second}`), own };
}

function commandCalled(name: string): CtlCommandName {
  if (isCommand(name)) return name;
  throw usageError(`there is no command ${JSON.stringify(name)}`);
}

function isCommand(name: string): name is CtlCommandName {
  return Object.hasOwn(ctlCommands, name);
}

/** Checks the number of words by the command's syntax, `exec <name> <command..>`. */
function checkWords(name: string, syntax: string, { words, values }: CtlArguments): void {
  const parameters = syntax.slice(name.length).split(' ').slice(1);
  const required = parameters.filter((parameter) => parameter.startsWith('<'));
  const missing = required[words.length];
  const shown = (parameter: string) => parameter.replaceAll(/[<>[\].]/g, '').toUpperCase();
  if (missing !== undefined) throw usageError(`${name} lacks its ${shown(missing)}`, name);
  const takesMore = parameters.at(-1)?.includes('..') === true;
  const extra = words[parameters.length];
  if (extra !== undefined && !takesMore)
    throw usageError(`${name} has a word too many: ${JSON.stringify(extra)}`, name);
  if (values.has('all') && words.length > 0)
    throw usageError(`${name} has a name and --all; it takes one of both`, name);
}

/** @param command whose help is to be read */
export function usageError(message: string, command?: string) {
  return usageErrorOf(message, command === undefined ? PROGRAM : `${PROGRAM} ${command}`);
}

/** The value of an option; the last one if it was given more than once. */
export function textOf({ values }: CtlArguments, name: string): string | undefined {
  const value = values.get(name);
  return typeof value === 'string' ? value : undefined;
}

/** The values of an option that repeats. */
export function textsOf({ values }: CtlArguments, name: string): readonly string[] {
  const value = values.get(name);
  return Array.isArray(value) ? value : [];
}

/** Whether a flag was given. */
export function isSet({ values }: CtlArguments, name: string): boolean {
  return values.has(name);
}

/**
 * Whether `--json` or `--format json` was given.
 * @throws {SandboxError} `usage`
 */
export function wantsJson(args: CtlArguments, command: string): boolean {
  const format = textOf(args, 'format') ?? 'table';
  if (format !== 'table' && format !== 'json')
    throw usageError(`--format ${JSON.stringify(format)} is neither table nor json`, command);
  return isSet(args, 'json') || format === 'json';
}
