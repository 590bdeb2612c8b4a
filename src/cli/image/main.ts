/** The program virt-sandbox-image. Each command is loaded when it is called. */
import { givenWords, refuseRaw } from '../argv.js';
import { readHelp } from '../help.js';
import { runProgram } from '../program.js';
import { traceStart } from '../sandbox/trace-start.js';
import { print } from '../terminal/output.js';
import { version } from '../version.js';
import { type ImageArguments, PROGRAM, parseImageArguments } from './arguments.js';
import type { ImageCommandName } from './options.js';

runProgram(PROGRAM, main);

async function main(): Promise<number> {
  const request = parseImageArguments(givenWords());
  if (!('asks' in request)) return dispatch(request.command, request.args);
  if (request.asks === 'version') await print(`${PROGRAM} version ${version}\n`);
  else await print(readHelp(request.of === undefined ? PROGRAM : `${PROGRAM}-${request.of}`));
  return 0;
}

async function dispatch(command: ImageCommandName, args: ImageArguments): Promise<number> {
  // Words of a command inside are passed on byte for byte.
  for (const word of command === 'run' ? args.words.slice(0, 1) : args.words) refuseRaw(word, 'the word');
  // Those of `run` are read, and refused, as virt-sandbox's.
  if (command !== 'run')
    for (const [name, value] of args.values) if (typeof value === 'string') refuseRaw(value, `the value of --${name},`);
  switch (command) {
    case 'pull':
      return (await import('./pull.js')).pull(args);
    case 'list':
      return (await import('./list.js')).list(args);
    case 'inspect':
      return (await import('./inspect.js')).inspect(args);
    case 'history':
      return (await import('./history.js')).history(args);
    case 'diff':
      return (await import('./diff.js')).diff(args);
    case 'tag':
      return (await import('./tag.js')).tag(args);
    case 'rm':
      return (await import('./remove.js')).remove(args);
    case 'prune':
      return (await import('./remove.js')).prune(args);
    case 'verify':
      return (await import('./verify.js')).verify(args);
    case 'login':
      return (await import('./login.js')).login(args);
    case 'logout':
      return (await import('./login.js')).logout(args);
    case 'run':
      await traceStart();
      return (await import('./run.js')).run(args);
  }
}
