/** What virt-sandbox writes to stderr while a sandbox starts and runs. */

import type { PullProgress } from '../../oci/progress.js';
import type { LaunchOptions } from '../../sandbox/types.js';
import { oneLine } from '../../util/errors.js';
import { programName } from '../program-name.js';
import { type ImageProgress, imageProgress } from '../terminal/image-progress.js';
import { type ProgressLine, progressLine } from '../terminal/progress-line.js';

export interface Verbosity {
  readonly verbose: boolean;
  readonly debug: boolean;
  /** LIBVIRT_SANDBOX_INIT_DEBUG */
  readonly initDebug: boolean;
}

/** Observers that write to stderr what `--verbose`, `--debug` and LIBVIRT_SANDBOX_INIT_DEBUG ask for. */
export function reporter({ verbose, debug, initDebug }: Verbosity): Pick<
  LaunchOptions,
  'onProgress' | 'onPull' | 'onChoice' | 'onFallback' | 'onWarning' | 'onConsole' | 'onReady' | 'onOperation'
> & {
  /** Removes the progress line. */
  readonly done: () => void;
} {
  const start = performance.now();
  const say = (text: string) => process.stderr.write(`${programName()}: ${oneLine(text)}\n`);
  const stamp = () => `[${((performance.now() - start) / 1000).toFixed(3)}]`;
  const progress = progressLine();
  const pull = pullReporter(progress);
  return {
    // Each phase of a pull is a step, too.
    ...(debug ? { onProgress: (message: string) => say(`${stamp()} ${message}`) } : pull.observers),
    ...(verbose || debug ? { onChoice: (sentence: string) => say(sentence) } : {}),
    onFallback: pull.note,
    onWarning: (sentence) => pull.note(`warning: ${sentence}`),
    ...(initDebug ? { onConsole: showConsole } : {}),
    ...(debug || initDebug
      ? {
          onReady: ({ kernelRelease, initStarted, initReady, modules }) => {
            say(
              `${stamp()} init ready: kernel ${kernelRelease}, ` +
                `init started at ${seconds(initStarted)}, ready at ${seconds(initReady)}`,
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
    done: () => {
      pull.end();
      progress.clear();
    },
  };
}

/** Shows bars while an image is pulled, and else the line: both are at the end of the terminal. */
function pullReporter(line: ProgressLine) {
  let bars: ImageProgress | undefined;
  let isOver = false;
  const hide = () => {
    bars?.clear();
    bars = undefined;
  };
  const onPull = (progress: PullProgress) => {
    // Some may still come of a pull that has failed.
    if (isOver) return;
    line.hide();
    bars ??= imageProgress(process.stderr);
    bars.show(progress);
    if (progress.phase === 'done') hide();
  };
  return {
    observers: {
      // A pull tells its phases both ways.
      onProgress: (message: string) => (bars === undefined ? line.show(message) : undefined),
      // Lines in between are for those who asked for a pull.
      ...(process.stderr.isTTY ? { onPull } : {}),
    },
    note: (text: string) => (bars === undefined ? line.note(text) : bars.note(`${programName()}: ${oneLine(text)}`)),
    end: () => {
      isOver = true;
      hide();
    },
  };
}

/** Most bytes of the guest's console that wait for a slow reader of stderr. What comes meanwhile is left out. */
export const CONSOLE_BYTES = 1 << 20;

function showConsole(chunk: Buffer): void {
  if (process.stderr.writableLength < CONSOLE_BYTES) process.stderr.write(chunk);
}

function seconds(microseconds: bigint): string {
  return `${(Number(microseconds) / 1e6).toFixed(3)} s`;
}

/** An operation with its text arguments. Bytes for files and the random pool are left out: they may be secret. */
function describe(operation: object): string {
  const { op, ...rest } = operation as Record<string, unknown>;
  const words = Object.values(rest).filter((value) => typeof value === 'string' && value !== '');
  return `${String(op)}(${words.join(', ')})`;
}
