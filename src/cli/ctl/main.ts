/** The program virt-sandbox-ctl. Each command is loaded when it is called. */
import { renameOptions } from '../../util/option-names.js';
import { givenWords, refuseRaw } from '../argv.js';
import { readHelp } from '../help.js';
import { runProgram } from '../program.js';
import { print } from '../terminal/output.js';
import { version } from '../version.js';
import { type CtlArguments, PROGRAM, parseCtlArguments } from './arguments.js';
import type { CtlCommandName } from './options.js';

renameOptions({ cwd: '--workdir' });
runProgram(PROGRAM, main);

async function main(): Promise<number> {
  const request = parseCtlArguments(givenWords());
  if (!('asks' in request)) return dispatch(request.command, request.args);
  if (request.asks === 'version') await print(`${PROGRAM} version ${version}\n`);
  else await print(readHelp(request.of === undefined ? PROGRAM : `${PROGRAM}-${request.of.replace(' ', '-')}`));
  return 0;
}

async function dispatch(command: CtlCommandName, args: CtlArguments): Promise<number> {
  // Words of a command inside are passed on byte for byte.
  if (command !== 'exec') for (const word of args.words) refuseRaw(word, 'the word');
  switch (command) {
    case 'ps':
      return (await import('./ps.js')).ps(args);
    case 'exec':
      return (await import('./exec.js')).exec(args);
    case 'cp':
      return (await import('./cp.js')).cp(args);
    case 'logs':
      return (await import('./logs.js')).logs(args);
    case 'diff':
      return (await import('./diff.js')).diff(args);
    case 'screenshot':
      return (await import('./screenshot.js')).screenshot(args);
    case 'view':
      return (await import('./view.js')).view(args);
    case 'stop':
    case 'kill':
    case 'wait':
      return (await import('./end.js'))[command](args);
    case 'inspect':
      return (await import('./inspect.js')).inspect(args);
    case 'stats':
      return (await import('./stats.js')).stats(args);
    case 'pool create':
      return (await import('./pool-create.js')).createPool(args);
    case 'pool ls':
      return (await import('./pool-list.js')).listPools(args);
    case 'pool inspect':
      return (await import('./pool-list.js')).inspectPools(args);
    case 'pool rm':
      return (await import('./pool-remove.js')).removePools(args);
  }
}
