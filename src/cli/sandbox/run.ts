/** Runs the command in a sandbox, from parsed arguments to its exit status. */
import { createWriteStream } from 'node:fs';
import { constants } from 'node:os';
import { pipeline } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { isatty } from 'node:tty';
import type { SandboxConfig } from '../../config/types.js';
import { domainXml } from '../../sandbox/devices/machine-options.js';
import { prepare } from '../../sandbox/prepare/prepare.js';
import type { Prepared } from '../../sandbox/prepare/prepared.js';
import { Sandbox } from '../../sandbox/sandbox.js';
import { traceWish } from '../../sandbox/setup/strace.js';
import type { LaunchOptions } from '../../sandbox/types.js';
import { messageOf, SandboxError } from '../../util/errors.js';
import { mark } from '../../util/marks.js';
import { cancelOnSignal } from '../terminal/cancel-on-signal.js';
import { attachTerminal, copyIn, ENDING, forwardSignals, localTerminal } from '../terminal/forward.js';
import { copyOut, print, ReaderGone } from '../terminal/output.js';
import { reporter } from '../terminal/report.js';
import { type Arguments, checkTogether } from './arguments.js';
import { describeSandbox, save } from './config-file.js';

/** How long the application may take to end on one of them, in milliseconds. */
const GRACE_MS = 2000;

/** @returns the exit status for this process */
export async function run(args: Arguments): Promise<number> {
  checkTogether(args);
  // With its output elsewhere, a terminal's line ends and echo would be in the way.
  const tty = isatty(0) && isatty(1);
  if (args.attach !== undefined) {
    const { attach } = await import('../terminal/attach.js');
    return attach(args.attach, args.command);
  }
  const described = await describeSandbox(args, tty);
  const { config } = described;
  mark('config.done');
  const { initDebug, step } = debugWish(process.env['LIBVIRT_SANDBOX_INIT_DEBUG']);
  const { done, ...observers } = reporter({ verbose: config.verbose, debug: config.debug, initDebug });
  if (described.note !== undefined) observers.onChoice?.(described.note);
  const start = cancelOnSignal();
  const options: LaunchOptions = {
    ...observers,
    connect: args.connect,
    debugInit: initDebug,
    trace: traceWish(process.env['LIBVIRT_SANDBOX_STRACE']),
    ...(step === undefined
      ? {}
      : { breakpoint: (await import('../terminal/attach.js')).breakpointAt(step, tty, done) }),
    signal: start.abort,
    ...(tty ? { terminal: localTerminal(), terminalFd: 0 } : {}),
  };
  try {
    if (args.saveConfig !== undefined) await save(described, args.saveConfig);
    if (args.printXml || args.dryRun) return await show(args, config, options);
    if (args.saveConfig !== undefined) return 0;
    const sandbox = await Sandbox.startChecked(config, options);
    done();
    start.release();
    if (config.shell) (await import('../terminal/attach.js')).sayHowToAttach(sandbox.name);
    return await supervise(sandbox, tty, options.trace !== undefined);
  } catch (error) {
    const { signal } = start;
    if (signal !== undefined && error instanceof SandboxError && error.code === 'aborted')
      return 128 + constants.signals[signal];
    throw error;
  } finally {
    done();
    start.release();
  }
}

/** LIBVIRT_SANDBOX_INIT_DEBUG: `break:STEP` stops before a step; anything else shows what the kernel and the init do. */
function debugWish(text = ''): { readonly initDebug: boolean; readonly step: string | undefined } {
  const step = text.startsWith('break:') ? text.slice('break:'.length) : undefined;
  return { initDebug: text !== '' && step === undefined, step };
}

/** Serves a running sandbox to its end. */
async function supervise(sandbox: Sandbox, tty: boolean, traced: boolean): Promise<number> {
  let forced: number | undefined;
  let broken: unknown;
  let giveUp: () => void = () => {};
  const givenUp = new Promise<void>((resolve) => {
    giveUp = resolve;
  });
  const end = (exitCode: number) => {
    forced ??= exitCode;
    giveUp();
    void sandbox.stop();
  };
  const detach = tty ? attachTerminal(sandbox, () => end(0)) : () => {};
  const release = forwardSignals(sandbox, tty);
  const releaseEnding = endOnSignal(sandbox, end);
  const fail = (error: unknown) => {
    broken ??= error;
    void sandbox.stop();
  };
  if (!tty) copyIn(sandbox, fail);
  // At the application's own terminal the trace would be in its way.
  const errors = traced && tty && isatty(2) ? keepTrace(sandbox) : copyOut(sandbox.stderr, 2);
  const copies = [copyOut(sandbox.stdout, 1), errors];
  for (const copy of copies) {
    copy.catch((error: unknown) => {
      // The application hears of it by the end of its sandbox, as it would from SIGPIPE.
      if (error instanceof ReaderGone) end(128 + constants.signals.SIGPIPE);
      else fail(error);
    });
  }
  try {
    const { exitCode } = await sandbox.exited;
    // The sandbox is gone; its output may still wait for a reader, until somebody has had enough.
    await Promise.race([Promise.all(copies), givenUp]);
    return forced ?? exitCode;
  } catch (error) {
    await Promise.race([Promise.allSettled(copies), delay(GRACE_MS, undefined, { ref: false })]);
    if (forced !== undefined) return forced;
    throw broken ?? error;
  } finally {
    detach();
    release();
    releaseEnding();
  }
}

/** Writes the trace to a file of the working directory, and says which. */
function keepTrace(sandbox: Sandbox): Promise<void> {
  const path = `${sandbox.name}.strace`;
  process.stderr.write(`virt-sandbox: the trace goes to ./${path}\r\n`);
  return pipeline(sandbox.stderr, createWriteStream(path, { mode: 0o600 })).catch((error: unknown) => {
    throw new SandboxError({
      stage: 'application',
      code: 'trace-not-written',
      message: `the trace cannot be written to ${path}: ${messageOf(error)}`,
      remedy: 'start it in a directory that you may write to, or send stderr elsewhere: 2>FILE',
      cause: error,
    });
  });
}

/** What `--print-xml` and `--dry-run` show. */
async function show(args: Arguments, config: SandboxConfig, options: LaunchOptions): Promise<number> {
  const prepared = await prepare(config, options);
  try {
    if (args.printXml) {
      await print(domainXml(config, prepared, options));
    } else {
      const result = dryRun(prepared);
      await print(args.json ? `${JSON.stringify(result, null, 2)}\n` : lines(result));
    }
    return 0;
  } finally {
    await prepared.connection.close();
  }
}

function dryRun(prepared: Prepared): Readonly<Record<string, string | boolean>> {
  const { connection } = prepared;
  if (prepared.platform === 'container') return { uri: connection.uri };
  const { image, acceleration, snapshot } = prepared;
  return {
    image: image.directory,
    kernel: image.kernel,
    initrd: image.initrd,
    kernelVersion: image.kernelVersion,
    reason: image.reason,
    built: image.fresh,
    uri: connection.uri,
    acceleration,
    boot: snapshot ? 'warm' : 'cold',
    ...(snapshot ? { warmImage: snapshot.directory } : {}),
  };
}

function lines(result: Readonly<Record<string, string | boolean>>): string {
  return Object.entries(result)
    .map(([name, value]) => `${name}: ${value}\n`)
    .join('');
}

/** The application is told first; it, or all of the sandbox at a second signal or after a while, ends. */
function endOnSignal(sandbox: Sandbox, end: (exitCode: number) => void): () => void {
  let timer: NodeJS.Timeout | undefined;
  const handler = (signal: NodeJS.Signals) => {
    const exitCode = 128 + constants.signals[signal];
    if (timer) {
      end(exitCode);
      return;
    }
    void sandbox.kill(signal);
    timer = setTimeout(() => end(exitCode), GRACE_MS);
  };
  for (const signal of ENDING) process.on(signal, handler);
  return () => {
    clearTimeout(timer);
    for (const signal of ENDING) process.off(signal, handler);
  };
}
