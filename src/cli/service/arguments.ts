/** The command line of virt-sandbox-service, parsed. */
import type { CommandArguments } from '../command-table.js';
import { type CommandProgram, type CommandRequest, commandCalled, parseCommand } from '../parse-command.js';
import { usageError as usageErrorOf } from '../usage-error.js';
import { type ServiceCommandName, serviceCommands } from './options.js';

export { isSet, textOf, textsOf } from '../command-table.js';

export const PROGRAM = 'virt-sandbox-service';

export type ServiceArguments = CommandArguments;
export type ServiceRequest = CommandRequest<ServiceCommandName>;

const SERVICE: CommandProgram<ServiceCommandName> = { program: PROGRAM, commands: serviceCommands };

/** Further names of commands, as those of the other programs. */
const ALIASES: Readonly<Record<string, readonly [ServiceCommandName, ...string[]]>> = {
  ls: ['list'],
  rm: ['delete'],
  inspect: ['show', '--json'],
};

/** @throws {SandboxError} `usage` */
export function parseServiceArguments(argv: readonly string[]): ServiceRequest {
  return parseCommand(withConnectBehind(argv), SERVICE, {
    find: ([word = '', ...own]) => {
      const alias = Object.hasOwn(ALIASES, word) ? ALIASES[word] : undefined;
      if (alias === undefined) return { name: commandCalled(word, SERVICE), own };
      const [name, ...options] = alias;
      return { name, own: [...options, ...own] };
    },
  });
}

/** `-c URI` may stand before the command, as libvirt-sandbox has it. */
function withConnectBehind(argv: readonly string[]): readonly string[] {
  const [first = '', ...rest] = argv;
  const taken = /^(?:-c|--connect)$/.test(first) ? 2 : /^(?:-c.|--connect=)/.test(first) ? 1 : 0;
  const command = argv[taken];
  if (taken === 0) return argv;
  if (command === undefined) return [];
  return [command, first, ...rest.slice(0, taken - 1), ...argv.slice(taken + 1)];
}

/** @param command whose help is to be read */
export function usageError(message: string, command?: ServiceCommandName) {
  return usageErrorOf(message, command === undefined ? PROGRAM : `${PROGRAM} ${command}`);
}
