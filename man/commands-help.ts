/** The help of programs with commands, and of these, laid out by yargs while building. */
import yargs from 'yargs';
import { ctlCommands, ctlEpilogue, ctlUsage } from '../src/cli/ctl/options.js';
import { imageCommands, imageEpilogue, imageUsage } from '../src/cli/image/options.js';
import { serviceCommands, serviceEpilogue, serviceUsage } from '../src/cli/service/options.js';
import { COMMON, type Command } from './program-description.js';
import { WIDTH } from './virt-sandbox-help.js';

/** What the help of a program is made of. */
interface Texts {
  readonly name: string;
  readonly commands: Readonly<Record<string, Command>>;
  readonly usage: string;
  readonly epilogue: string;
}

export const helpTexts: readonly Texts[] = [
  { name: 'virt-sandbox-ctl', commands: ctlCommands, usage: ctlUsage, epilogue: ctlEpilogue },
  { name: 'virt-sandbox-image', commands: imageCommands, usage: imageUsage, epilogue: imageEpilogue },
  { name: 'virt-sandbox-service', commands: serviceCommands, usage: serviceUsage, epilogue: serviceEpilogue },
];

/** By the name of the text: that of the program, or `virt-sandbox-ctl-COMMAND`. */
export async function commandsHelp({ name, commands, usage, epilogue }: Texts): Promise<ReadonlyMap<string, string>> {
  const own = parser(name, usage).options(COMMON).epilogue(epilogue);
  for (const [command, { command: syntax, describe }] of Object.entries(commands))
    own.command(shownCommand(command, syntax), describe);
  const texts = new Map([[name, `${await own.getHelp()}\n`]]);
  for (const [called, command] of Object.entries(commands))
    texts.set(`${name}-${called.replace(' ', '-')}`, await commandHelp(name, called, command));
  return texts;
}

async function commandHelp(program: string, name: string, { command, describe, options }: Command): Promise<string> {
  const usage = `Usage: ${program} ${shownCommand(`${name} [OPTIONS]`, command)}`;
  return `${await parser(program, `${usage}\n\n${describe}.`)
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

function parser(program: string, usage: string) {
  return yargs([]).scriptName(program).help(false).version(false).usage(usage).wrap(WIDTH);
}
