/** Runs the command in a sandbox: from parsed arguments to the exit status. */
import { constants } from 'node:os';
import { isatty } from 'node:tty';
import { Sandbox } from '../../sandbox/sandbox.js';
import { traceWish } from '../../sandbox/setup/strace.js';
import type { LaunchOptions } from '../../sandbox/types.js';
import { SandboxError } from '../../util/errors.js';
import { mark } from '../../util/marks.js';
import { describeSandbox } from '../describe-sandbox.js';
import { reporter } from '../hold/report.js';
import { type Arguments, checkTogether } from '../sandbox-arguments.js';
import { cancelOnSignal } from '../terminal/cancel-on-signal.js';
import { localTerminal } from '../terminal/forward.js';
import { sayListening } from './say-listening.js';
import { sayPorts } from './say-ports.js';
import { serveBeside } from './serve.js';
import { supervise } from './supervise.js';
import { debugWish, timeLimitOf } from './wishes.js';

/**
 * @param words what `args` were read from
 * @returns the exit status for this process
 */
export async function run(args: Arguments, words: readonly string[]): Promise<number> {
  checkTogether(args);
  // With the output elsewhere, a terminal would add CR to line ends and echo the input.
  const tty = isatty(0) && isatty(1);
  if (args.attach !== undefined) {
    const { attach } = await import('./attach.js');
    return attach(args.attach, args.command);
  }
  if (args.detach) {
    const { detach } = await import('./detach.js');
    return detach(words);
  }
  const described = await describeSandbox(args, tty);
  const { config } = described;
  mark('config.done');
  const viewer = args.view === undefined ? undefined : await import('./viewer.js');
  if (args.view !== undefined) viewer?.checkView(args.view, config);
  const { initDebug, step } = debugWish();
  const { done, ...observers } = reporter({ verbose: config.verbose, debug: config.debug, initDebug });
  if (described.note !== undefined) observers.onChoice?.(described.note);
  const start = cancelOnSignal();
  const options: LaunchOptions = {
    ...observers,
    connect: args.connect,
    debugInit: initDebug,
    timeLimit: timeLimitOf(args),
    trace: traceWish(process.env['LIBVIRT_SANDBOX_STRACE']),
    ...(step === undefined ? {} : { breakpoint: (await import('./attach.js')).breakpointAt(step, tty, done) }),
    signal: start.abort,
    ...(tty ? { terminal: localTerminal(), terminalFd: 0 } : {}),
  };
  try {
    if (args.saveConfig !== undefined) {
      const { saveConfig } = await import('./save-config.js');
      await saveConfig(described, args.saveConfig);
    }
    if (args.printXml || args.dryRun) {
      const { show } = await import('./show.js');
      await show(args, config, options);
      return 0;
    }
    if (args.saveConfig !== undefined) return 0;
    const sandbox = await Sandbox.startChecked(config, options);
    done();
    const say = (message: string) => void process.stderr.write(message);
    sayPorts(sandbox, say, observers.onChoice);
    sayListening(sandbox, say);
    const warn = (sentence: string) => observers.onWarning?.(sentence);
    if (args.view !== undefined) viewer?.showIn(args.view, sandbox, config.clipboard, warn);
    if (config.shell) (await import('./attach.js')).sayHowToAttach(sandbox.name);
    const traced = options.trace !== undefined;
    return await supervise(sandbox, {
      tty,
      traced,
      isSystemd: config.service?.type === 'systemd',
      control: serveBeside(sandbox),
      onSignals: start.release,
    });
  } catch (error) {
    const { signal } = start;
    // A signal that comes between the start and what follows it stops the sandbox.
    if (signal !== undefined && error instanceof SandboxError && ['aborted', 'stopped'].includes(error.code))
      return 128 + constants.signals[signal];
    throw error;
  } finally {
    done();
    start.release();
  }
}
