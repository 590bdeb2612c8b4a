/**
 * Holds a detached sandbox: starts it, logs what its application writes, and serves it until it has ended. Another
 * process, which has started this one, waits until it runs (start-holder.ts).
 */

import { LogWriter } from '../../control/log-writer.js';
import { serveControl } from '../../control/server.js';
import { Sandbox } from '../../sandbox/sandbox.js';
import { traceWish } from '../../sandbox/setup/strace.js';
import type { LaunchOptions } from '../../sandbox/types.js';
import { SandboxError } from '../../util/errors.js';
import { type Deferred, deferred, settlesWithin } from '../../util/promises.js';
import { describeSandbox } from '../describe-sandbox.js';
import { HOLD, observersFor } from '../hold/caller.js';
import { Caller, collectGarbage, Warnings } from '../hold/held.js';
import { failureOf } from '../program.js';
import { programName } from '../program-name.js';
import { parseArguments } from '../sandbox-arguments.js';
import { usageError } from '../usage-error.js';
import { sayListening } from './say-listening.js';
import { sayPorts } from './say-ports.js';
import { debugWish, timeLimitOf } from './wishes.js';

/** Time for the application to end after a signal, in milliseconds. */
const GRACE_MS = 2000;

/** @returns the exit status for this process */
export async function hold(): Promise<number> {
  // Its terminal may go, and with it whoever started it.
  process.on('SIGHUP', () => {});
  const caller = new Caller(HOLD);
  try {
    return await holdFor(caller);
  } catch (error) {
    const failed = failureOf(programName(), error);
    caller.tell({ failed });
    await caller.end();
    return failed.status;
  }
}

async function holdFor(caller: Caller): Promise<number> {
  const cancelling = new AbortController();
  const cancel = () => cancelling.abort();
  caller.gone.addEventListener('abort', cancel, { once: true });
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, cancel);
  const started = await start(await caller.words(), caller, cancelling.signal);
  const { sandbox } = started;
  endOnSignal(sandbox);
  // Not before, or a signal in between would end this process, or be lost.
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.off(signal, cancel);
  try {
    return await keep(started, caller);
  } catch (error) {
    started.isServed.resolve();
    await sandbox.stop();
    throw error;
  }
}

interface Started {
  readonly sandbox: Sandbox;
  /** Those that came when the caller was gone, or will. */
  readonly warnings: Warnings;
  /** A command that ends at once is not removed before that. */
  readonly isServed: Deferred<void>;
}

async function start(words: readonly string[], caller: Caller, signal: AbortSignal): Promise<Started> {
  const request = parseArguments(words);
  if ('asks' in request) throw new Error('help is for the caller');
  const args = request.run;
  const { config, note } = await describeSandbox(args, false, true);
  const timeLimit = timeLimitOf(args);
  // An image has a command of its own.
  if (timeLimit !== undefined && config.command.length === 0 && config.root.type === 'directory')
    throw usageError('--timeout is for a command, and there is none', 'virt-sandbox');
  const { initDebug } = debugWish();
  const { verbose, debug } = config;
  const observers = observersFor({ verbose, debug, initDebug }, (message) => caller.tell(message));
  if (note !== undefined) observers.onChoice?.(note);
  const warnings = new Warnings();
  const launching: LaunchOptions = {
    ...observers,
    onWarning: (sentence) => {
      observers.onWarning?.(sentence);
      warnings.add(sentence);
    },
    connect: args.connect,
    debugInit: initDebug,
    timeLimit,
    trace: traceWish(process.env['LIBVIRT_SANDBOX_STRACE']),
    signal,
  };
  const sandbox = await Sandbox.startChecked(config, launching, 'optional');
  const isServed = deferred<void>();
  sandbox.endAfter(isServed.promise);
  const say = (note: string) => caller.tell({ note });
  sayPorts(sandbox, say, observers.onChoice);
  sayListening(sandbox, say);
  return { sandbox, warnings, isServed };
}

/** Whoever follows the log reads why it ends. Who has stopped it knows. Resolves when that is written. */
async function logFailure(log: LogWriter, error: unknown): Promise<void> {
  if (error instanceof SandboxError && error.code === 'stopped') return;
  await log.write('stderr', Buffer.from(failureOf('virt-sandbox', error).text));
}

/** An error that nothing has caught ends this process, whose stderr nobody reads, and with it the sandbox. */
function logUncaught(log: LogWriter): void {
  process.once('uncaughtException', (error) => {
    void settlesWithin(logFailure(log, error), GRACE_MS).then(() =>
      process.exit(failureOf('virt-sandbox', error).status),
    );
  });
}

async function keep({ sandbox, warnings, isServed }: Started, caller: Caller): Promise<number> {
  const log = await LogWriter.create(sandbox.launched.state.path);
  sandbox.stdin.end();
  sandbox.endAfter(log.copy(sandbox.stdout, 'stdout'));
  sandbox.endAfter(log.copy(sandbox.stderr, 'stderr'));
  sandbox.endAfter(sandbox.ending.then((failure) => (failure === undefined ? undefined : logFailure(log, failure))));
  const server = await serveControl(sandbox, { detached: true });
  isServed.resolve();
  try {
    if (!(await caller.takes(sandbox.name))) {
      await sandbox.stop();
      return 0;
    }
    warnings.to(log);
    logUncaught(log);
    // Let no file system be held that only the caller had a use for.
    process.chdir('/');
    await collectGarbage();
    await sandbox.exited.catch(() => {});
    return 0;
  } catch (error) {
    await logFailure(log, error);
    throw error;
  } finally {
    await server.close();
    await log.close();
  }
}

/** As at a terminal: the application gets the first signal; a second one, or some time, stops the sandbox. */
function endOnSignal(sandbox: Sandbox): void {
  let isTold = false;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (isTold || sandbox.isIdle) void sandbox.stop();
      else void sandbox.kill(signal);
      isTold = true;
      setTimeout(() => void sandbox.stop(), GRACE_MS).unref();
    });
  }
}
