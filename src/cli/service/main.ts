/** The program virt-sandbox-service. Each command is loaded when it is called. */
import { START_SESSION_DAEMON } from '../../service/systemd/session-daemon.js';
import { messageOf } from '../../util/errors.js';
import { renameOptions } from '../../util/option-names.js';
import { givenWords, refuseRaw } from '../argv.js';
import { readHelp } from '../help.js';
import { HOLD_SERVICE } from '../hold/caller.js';
import { runProgram } from '../program.js';
import { print } from '../terminal/output.js';
import { version } from '../version.js';
import { PROGRAM, parseServiceArguments, type ServiceArguments, textOf, usageError } from './arguments.js';
import type { ServiceCommandName } from './options.js';

renameOptions({ cwd: '--workdir', identity: '--uid' }, { privileged: '--privileged' });
runProgram(PROGRAM, main);

async function main(): Promise<number> {
  const words = givenWords();
  if (words[0] === HOLD_SERVICE) return (await import('./hold.js')).holdService();
  if (words[0] === START_SESSION_DAEMON) return (await import('./session-daemon.js')).startSessionDaemon();
  const request = parseServiceArguments(words);
  if (!('asks' in request)) return dispatch(request.command, request.args);
  if (request.asks === 'version') await print(`${PROGRAM} version ${version}\n`);
  else await print(readHelp(request.of === undefined ? PROGRAM : `${PROGRAM}-${request.of}`));
  return 0;
}

async function dispatch(command: ServiceCommandName, args: ServiceArguments): Promise<number> {
  // What is kept in a file has to be text. Words of a command inside are passed on byte for byte.
  if (command !== 'execute') for (const word of args.words) refuseRaw(word, 'the word');
  await checkUri(command, args);
  switch (command) {
    case 'create':
      return (await import('./create.js')).create(args);
    case 'clone':
      return (await import('./clone.js')).clone(args);
    case 'export':
      return (await import('./export.js')).exportArchive(args);
    case 'import':
      return (await import('./import.js')).importArchive(args);
    case 'delete':
      return (await import('./delete.js')).deleteServices(args);
    case 'list':
      return (await import('./list.js')).list(args);
    case 'show':
      return (await import('./show.js')).show(args);
    case 'start':
    case 'restart':
      return (await import('./start.js'))[command](args);
    case 'stop':
      return (await import('./stop.js')).stop(args);
    case 'run':
      return (await import('./run.js')).run(args);
    case 'status':
      return (await import('./status.js')).status(args);
    case 'logs':
      return (await import('./logs.js')).logs(args);
    case 'execute':
    case 'connect':
      return (await import('./execute.js'))[command](args);
    case 'reload':
      return (await import('./reload.js')).reload(args);
    case 'upgrade':
      return (await import('./upgrade.js')).upgrade(args);
    case 'edit':
      return (await import('./edit.js')).edit(args);
  }
}

/**
 * `create` says itself what is wrong with its own.
 * @throws {SandboxError} `service-on-system-uri`, `uri-not-supported`, `usage`
 */
async function checkUri(command: ServiceCommandName, args: ServiceArguments): Promise<void> {
  const uri = textOf(args, 'connect');
  if (uri === undefined || command === 'create') return;
  const { checkGivenUri } = await import('../../service/connection.js');
  const { serviceRoots } = await import('../../service/paths.js');
  try {
    checkGivenUri(serviceRoots(), uri);
  } catch (error) {
    // Words of a command may have come here, as in execute NAME sh -c WORDS.
    if (command !== 'execute') throw error;
    throw usageError(`${messageOf(error)}, and a command with options of its own stands behind --`, command);
  }
}
