/** The command line of virt-sandbox-ctl, parsed. */
import { type CommandArguments, isSet, textOf } from '../command-table.js';
import { type CommandProgram, type CommandRequest, commandCalled, parseCommand } from '../parse-command.js';
import { usageError as usageErrorOf } from '../usage-error.js';
import { type CtlCommandName, ctlCommands } from './options.js';

export { isSet, textOf, textsOf } from '../command-table.js';

export const PROGRAM = 'virt-sandbox-ctl';

export type CtlArguments = CommandArguments;
export type CtlRequest = CommandRequest<CtlCommandName>;

const CTL: CommandProgram<CtlCommandName> = { program: PROGRAM, commands: ctlCommands };

/** @throws {SandboxError} `usage` */
export function parseCtlArguments(argv: readonly string[]): CtlRequest {
  const request = parseCommand(argv, CTL, { find: commandOf });
  if (!('asks' in request) && request.args.values.has('all') && request.args.words.length > 0)
    throw usageError(`${request.command} has a name and --all; it takes one of both`, request.command);
  return request;
}

/** What `pool` begins. */
const GROUP = 'pool';

/** @returns undefined for `pool --help` */
function commandOf([first = '', ...rest]: readonly string[]):
  | { readonly name: CtlCommandName; readonly own: readonly string[] }
  | undefined {
  const [second, ...own] = rest;
  if (first !== GROUP && !first.includes(' ')) return { name: commandCalled(first, CTL), own: rest };
  if (first !== GROUP) throw usageError(`there is no command ${JSON.stringify(first)}`);
  if (second === '--help' || second === '-h') return undefined;
  if (second === undefined) throw usageError('pool lacks its command: create, ls, inspect or rm');
  return { name: commandCalled(`${GROUP} ${second}`, CTL), own };
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
