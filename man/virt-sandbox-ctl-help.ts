/** The help of virt-sandbox-ctl and of its commands, laid out by yargs while building. */
import yargs from 'yargs';
import { ctlCommands, ctlEpilogue, ctlUsage } from '../src/cli/ctl/options.js';
import { COMMON, type Command } from './program-description.js';
import { WIDTH } from './virt-sandbox-help.js';

const NAME = 'virt-sandbox-ctl';

/** By the name of the text: that of the program, or `virt-sandbox-ctl-COMMAND`. */
export async function virtSandboxCtlHelp(): Promise<ReadonlyMap<string, string>> {
  const commands: readonly [string, Command][] = Object.entries(ctlCommands);
  const own = parser(ctlUsage).options(COMMON).epilogue(ctlEpilogue);
  for (const [name, { command, describe }] of commands) own.command(shownCommand(name, command), describe);
  const texts = new Map([[NAME, `${await own.getHelp()}\n`]]);
  for (const [name, command] of commands)
    texts.set(`${NAME}-${name.replace(' ', '-')}`, await commandHelp(name, command));
  return texts;
}

async function commandHelp(name: string, { command, describe, options }: Command): Promise<string> {
  const usage = `Usage: ${NAME} ${shownCommand(`${name} [OPTIONS]`, command)}`;
  return `${await parser(`${usage}\n\n${describe}.`)
    .options({ ...options, ...COMMON })
    .getHelp()}\n`;
}

/**
 * `exec <name> <command..>` becomes `exec NAME COMMAND...`.
 * @param name what stands in place of the command's name
 */
function shownCommand(name: string, command: string): string {
  const parameters = command.match(/[<[].*/)?.[0].split(' ') ?? [];
  const shown = parameters.map((parameter) => parameter.replaceAll(/[<>]/g, '').replace('..', '...').toUpperCase());
  return [name, ...shown].join(' ');
}

function parser(usage: string) {
  return yargs([]).scriptName(NAME).help(false).version(false).usage(usage).wrap(WIDTH);
}
