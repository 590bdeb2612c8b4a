/** What is said on stderr while a sandbox starts and runs. */

import type { LaunchOptions } from '../../sandbox/types.js';
import { oneLine, type SandboxError } from '../../util/errors.js';

export interface Verbosity {
  readonly verbose: boolean;
  readonly debug: boolean;
  /** LIBVIRT_SANDBOX_INIT_DEBUG */
  readonly initDebug: boolean;
}

/** Longer than this and a person wants to know why nothing happens, in milliseconds. */
const PROGRESS_AFTER = 1000;

/** Observers that write to stderr what the person asked to see. */
export function reporter({ verbose, debug, initDebug }: Verbosity): Pick<
  LaunchOptions,
  'onProgress' | 'onChoice' | 'onWarning' | 'onConsole' | 'onReady' | 'onOperation'
> & {
  /** Clears a progress line that is still there. */
  readonly done: () => void;
} {
  const start = performance.now();
  const say = (text: string) => process.stderr.write(`virt-sandbox: ${oneLine(text)}\n`);
  const stamp = () => `[${((performance.now() - start) / 1000).toFixed(3)}]`;
  const progress = progressLine();
  return {
    ...(debug ? { onProgress: (message: string) => say(`${stamp()} ${message}`) } : { onProgress: progress.show }),
    ...(verbose || debug ? { onChoice: (sentence: string) => say(sentence) } : {}),
    onWarning: (sentence) => {
      progress.clear();
      say(`warning: ${sentence}`);
    },
    ...(initDebug ? { onConsole: (chunk: Buffer) => void process.stderr.write(chunk) } : {}),
    ...(debug || initDebug
      ? {
          onReady: ({ kernelRelease, initStarted, initReady, modules }) => {
            say(
              `${stamp()} init ready: kernel ${kernelRelease}, init started at ${seconds(initStarted)}, ready at ${seconds(initReady)}`,
            );
            for (const { name, errno, microseconds } of modules)
              say(`  module ${name}: ${errno === 0 ? 'loaded' : `errno ${errno}`}, ${microseconds} µs`);
          },
          onOperation: ({ step, operation, microseconds, error, tolerated }) => {
            const outcome =
              error === undefined ? `${microseconds} µs` : `${tolerated ? 'tolerated' : 'failed'}: ${error.message}`;
            say(`${stamp()} ${step}: ${describe(operation)}: ${outcome}`);
          },
        }
      : {}),
    done: progress.clear,
  };
}

/** The lines for a failure: one that says what and what to do, and the guest's last words. */
export function failureText(error: SandboxError, program: string): string {
  const tail = error.consoleTail.map((line) => `  guest: ${line}\n`).join('');
  return `${program}: ${error.line}\n${tail}`;
}

/** One line on a terminal that is there only while something takes long. */
export function progressLine(program = 'virt-sandbox'): { show: (message: string) => void; clear: () => void } {
  if (!process.stderr.isTTY) return { show: () => {}, clear: () => {} };
  let shown = false;
  let latest = '';
  const draw = () => {
    process.stderr.write(`\r\u001b[K${program}: ${latest}…`);
    shown = true;
  };
  const timer = setTimeout(draw, PROGRESS_AFTER);
  return {
    show(message) {
      latest = message;
      if (shown) draw();
    },
    clear() {
      clearTimeout(timer);
      if (shown) process.stderr.write('\r\u001b[K');
      shown = false;
    },
  };
}

function seconds(microseconds: bigint): string {
  return `${(Number(microseconds) / 1e6).toFixed(3)} s`;
}

/** An operation with its arguments, short. What is written to files or the random pool is nobody's to read. */
function describe(operation: object): string {
  const { op, ...rest } = operation as Record<string, unknown>;
  const words = Object.values(rest).filter((value) => typeof value === 'string' && value !== '');
  return `${String(op)}(${words.join(', ')})`;
}
