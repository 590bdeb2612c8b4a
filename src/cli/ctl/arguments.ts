/** The command line of virt-sandbox-ctl, parsed. */
import { readCommandLine } from '../command-line.js';
import { type CommandArguments, type CommandEntry, isSet, textOf, wordsProblem } from '../command-table.js';
import { usageError as usageErrorOf } from '../usage-error.js';
import { type CtlCommandName, ctlCommands } from './options.js';

export { isSet, textOf, textsOf } from '../command-table.js';

export const PROGRAM = 'virt-sandbox-ctl';

export type CtlArguments = CommandArguments;

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
  const entry: CommandEntry = ctlCommands[name];
  const { options, runs } = entry;
  const read = readCommandLine(own, options, `${PROGRAM} ${name}`, { anywhere: runs === undefined });
  if (read.asks !== undefined) return { asks: read.asks, of: name };
  const args = { values: read.values, words: read.rest };
  checkWords(name, entry, args);
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

function checkWords(name: string, entry: CommandEntry, { words, values }: CtlArguments): void {
  const problem = wordsProblem(name, entry, words);
  if (problem !== undefined) throw usageError(problem, name);
  if (values.has('all') && words.length > 0)
    throw usageError(`${name} has a name and --all; it takes one of both`, name);
}

/** @param command whose help is to be read */
export function usageError(message: string, command?: string) {
  return usageErrorOf(message, command === undefined ? PROGRAM : `${PROGRAM} ${command}`);
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
