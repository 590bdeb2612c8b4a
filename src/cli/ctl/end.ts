/** virt-sandbox-ctl stop, kill and wait. */
import { type ConnectedSandbox, connectSandbox } from '../../control/connect.js';
import { runningSandboxes } from '../../control/list.js';
import { MOST_TIMEOUT_MS } from '../../control/requests.js';
import { signalNumber } from '../../util/signal-number.js';
import { type CtlArguments, isSet, textOf, usageError } from './arguments.js';
import { forEachName } from './each.js';
import { optionMs } from './times.js';

/** Prints the names of those that have ended. */
export async function stop(args: CtlArguments): Promise<number> {
  const timeout = optionMs(textOf(args, 'time'), '--time', 'stop', { least: 0, most: MOST_TIMEOUT_MS });
  return forEachNamed(args, 'stop', async (sandbox, name) => {
    await sandbox.stop(timeout === undefined ? {} : { timeout });
    return name;
  });
}

/** Prints the names of those that were sent the signal. */
export async function kill(args: CtlArguments): Promise<number> {
  const signal = signalOf(textOf(args, 'signal') ?? 'KILL');
  return forEachNamed(args, 'kill', async (sandbox, name) => {
    await sandbox.kill(signal);
    return name;
  });
}

/** Prints exit statuses. */
export async function wait(args: CtlArguments): Promise<number> {
  return forEachNamed(args, 'wait', async (sandbox) => String((await sandbox.wait()).exitCode));
}

async function forEachNamed(
  args: CtlArguments,
  command: string,
  work: (sandbox: ConnectedSandbox, name: string) => Promise<string>,
): Promise<number> {
  const all = isSet(args, 'all');
  if (!all && args.words.length === 0) throw usageError(`${command} lacks its NAME`, command);
  const names = all ? (await runningSandboxes()).map(({ called }) => called) : args.words;
  // One of all may end by itself meanwhile.
  const options = { ignoreMissing: all || isSet(args, 'ignore') };
  return forEachName(
    names,
    async (name) => {
      const sandbox = await connectSandbox(name);
      try {
        return await work(sandbox, name);
      } finally {
        await sandbox.close();
      }
    },
    options,
  );
}

/**
 * The signal of `--signal`.
 * @throws {SandboxError} `usage`
 */
export function signalOf(text: string): number {
  const number = signalNumber(text);
  if (number !== undefined) return number;
  throw usageError(`--signal ${JSON.stringify(text)} is no signal; give one such as TERM, SIGTERM or 15`, 'kill');
}
