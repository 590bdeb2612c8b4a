/** virt-sandbox-service execute and connect: a command, or a shell, in a service that runs. */
import { isatty } from 'node:tty';
import type { SpawnOptions } from '../../sandbox/process/types.js';
import { connectService } from '../../service/run/talk.js';
import { refuseRaw } from '../argv.js';
import { execOptions } from '../ctl/exec.js';
import { Execution } from '../ctl/execution.js';
import { localTerminal } from '../terminal/forward.js';
import { isSet, PROGRAM, type ServiceArguments } from './arguments.js';
import { nameOf, pathsOfService } from './each-service.js';

const isTerminal = () => isatty(0) && isatty(1);

/** @returns the exit status of the command */
export async function execute(args: ServiceArguments): Promise<number> {
  const [first = '', ...command] = args.words;
  refuseRaw(first, 'the name');
  const name = await nameOf(args);
  return runInside(name, command, { options: execOptions(args), tty: isSet(args, 'tty') || isTerminal() });
}

/** @returns the exit status of the shell; 0 after Ctrl+] */
export async function connect(args: ServiceArguments): Promise<number> {
  const name = await nameOf(args);
  const tty = isTerminal();
  const onStart = () => process.stderr.write(`${PROGRAM}: a shell in ${name}; exit ends it, Ctrl+] leaves it\n`);
  return runInside(name, ['/bin/sh'], { options: execOptions(args), tty, ...(tty ? { onStart } : {}) });
}

interface Inside {
  readonly options: SpawnOptions;
  readonly tty: boolean;
  readonly onStart?: () => void;
}

async function runInside(name: string, command: readonly string[], { options, tty, onStart }: Inside): Promise<number> {
  pathsOfService(name);
  const sandbox = await connectService(name);
  try {
    const process = await sandbox.spawn(command, tty ? { ...options, tty: localTerminal() } : options);
    onStart?.();
    return await new Execution(process, { interactive: true, tty, name }).run();
  } finally {
    await sandbox.close();
  }
}
