/** The options of virt-sandbox-bake create for what runs in a machine before it is saved. */
import { parseDuration } from '../../config/parsers/duration.js';
import type { Preparation, Readiness } from '../../sandbox/preparation.js';
import { signalNumber } from '../../util/signal-number.js';
import { type BakeArguments, textOf, usageError } from './arguments.js';

/** In milliseconds. */
const USUAL_TIMEOUT = 600_000;
const MOST_TIMEOUT = 86_400_000;

/**
 * @returns undefined: nothing runs
 * @throws {SandboxError} `usage`, `duration-invalid`
 */
export function preparationOf(args: BakeArguments): Preparation | undefined {
  const command = textOf(args, 'prepare');
  if (command === undefined) {
    for (const name of ['root', 'ready', 'notify', 'prepare-timeout'])
      if (args[name] !== undefined) throw usageError(`--${name} goes with --prepare`);
    return undefined;
  }
  if (textOf(args, 'name') === undefined) throw usageError('--prepare needs --name: who names the image gets it');
  const ready = readinessOf(textOf(args, 'ready'));
  const notify = textOf(args, 'notify');
  if (notify !== undefined && ready === undefined) throw usageError('--notify goes with --ready');
  const signal = notify === undefined ? undefined : signalNumber(notify);
  if (notify !== undefined && signal === undefined) throw usageError(`--notify=${notify} is no signal`);
  const timeout = textOf(args, 'prepare-timeout');
  return {
    command,
    ready,
    notify: signal,
    timeout: timeout === undefined ? USUAL_TIMEOUT : parseDuration(timeout, '--prepare-timeout', MOST_TIMEOUT),
  };
}

function readinessOf(text: string | undefined): Readiness | undefined {
  if (text === undefined) return undefined;
  const [, kind, rest = ''] = /^(file|line):(.+)$/.exec(text) ?? [];
  if (kind === 'file' && rest.startsWith('/')) return { kind, path: rest };
  if (kind === 'line') return { kind, text: rest };
  throw usageError(`--ready=${text} is neither file:/PATH nor line:TEXT`);
}
