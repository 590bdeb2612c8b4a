/** Supervises a sandbox that is none, and gets SIGINT and SIGTERM at the moment when it says that it handles signals. */
import { PassThrough } from 'node:stream';
import { supervise } from '../../src/cli/sandbox/supervise.js';
import type { ProcessExit } from '../../src/sandbox/process/types.js';
import { deferred } from '../../src/util/promises.js';

const exited = deferred<ProcessExit>();
const got: string[] = [];
const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];

const status = await supervise(
  {
    name: 'none',
    stdin,
    stdout,
    stderr,
    exited: exited.promise,
    ending: exited.promise,
    kill: async (signal) => {
      got.push(signal);
      if (got.length < 2) return;
      for (const stream of [stdout, stderr]) stream.end();
      exited.resolve({ code: 7, signal: undefined, exitCode: 7, timedOut: false });
    },
    resize: async () => {},
    stop: async () => {},
  },
  {
    tty: false,
    traced: false,
    onSignals: () => {
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.kill(process.pid, signal);
    },
  },
);
process.stdout.write(`${status} ${got.sort().join(' ')}\n`);
process.exit(0);
