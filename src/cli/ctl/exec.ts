/** virt-sandbox-ctl exec: a command in a running sandbox, with the streams of this process. */
import { connectSandbox } from '../../control/connect.js';
import { silentError } from '../../control/errors.js';
import type { SandboxProcess } from '../../sandbox/process/process.js';
import type { SpawnOptions } from '../../sandbox/process/types.js';
import { unlessAborted } from '../../util/promises.js';
import { refuseRaw } from '../argv.js';
import { localTerminal } from '../terminal/forward.js';
import { print } from '../terminal/output.js';
import { parseTimeLimit } from '../time-limit.js';
import { type CtlArguments, isSet, textOf, usageError } from './arguments.js';
import { environmentOf } from './environment.js';
import { ANSWER_MS, Execution } from './execution.js';

/** @returns the exit status of the command */
export async function exec(args: CtlArguments): Promise<number> {
  const { name, command } = execWords(args.words);
  const [interactive, tty, detach] = [isSet(args, 'interactive'), isSet(args, 'tty'), isSet(args, 'detach')];
  if (detach && (interactive || tty)) throw usageError('--detach goes with neither -i nor -t', 'exec');
  const options = execOptions(args);
  const sandbox = await connectSandbox(name, { keep: detach });
  try {
    const process = await inTime(sandbox.spawn(command, options), name, options.timeout);
    const { timeout } = options;
    if (!detach) return await new Execution(process, { interactive, tty, name, timeout }).run();
    leaveAlone(process);
    await print(`${process.pid}\n`);
    return 0;
  } finally {
    await sandbox.close();
  }
}

/** The command's time is none if it never starts, as where its holder is stopped. */
function inTime<T>(started: Promise<T>, name: string, timeout: number | undefined): Promise<T> {
  if (timeout === undefined) return started;
  return unlessAborted(started, AbortSignal.timeout(timeout + ANSWER_MS), () => silentError(name));
}

/** `NAME [--] COMMAND…`, as `virt-sandbox --attach` has it too. */
function execWords([name = '', ...words]: readonly string[]): { name: string; command: readonly string[] } {
  refuseRaw(name, 'the name');
  const command = words[0] === '--' ? words.slice(1) : words;
  if (command.length === 0) throw usageError('exec lacks its COMMAND', 'exec');
  return { name, command };
}

/** @throws {SandboxError} `duration-invalid`, `not-utf8`, and what the variables throw */
export function execOptions(args: CtlArguments): SpawnOptions & { readonly timeout?: number } {
  const [user, cwd] = ['user', 'workdir'].map((option) => {
    const value = textOf(args, option);
    if (value !== undefined) refuseRaw(value, `the value of --${option},`);
    return value;
  });
  const timeout = textOf(args, 'timeout');
  return {
    env: environmentOf(args),
    ...(user === undefined ? {} : { user }),
    ...(cwd === undefined ? {} : { cwd }),
    ...(timeout === undefined ? {} : { timeout: parseTimeLimit(timeout) }),
    ...(isSet(args, 'tty') ? { tty: localTerminal() } : {}),
  };
}

/** Nobody is there for its input and its output. */
function leaveAlone(process: SandboxProcess): void {
  process.stdin.end();
  process.stdout.resume();
  process.stderr.resume();
}
