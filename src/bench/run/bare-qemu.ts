/** A bare QEMU with a machine's own command line, which somebody sets up over its channel in place of a launcher. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { Listener } from '../../sandbox/start/listener.js';
import { settlesWithin, unlessAborted } from '../../util/promises.js';
import { Interrupted, TIMEOUT_MS } from './process.js';
import { optionsOf } from './qemu-argv.js';

/** Options by which libvirt controls QEMU. They are left out here. */
const LEFT_OUT = new Set(['-name', '-S', '-no-shutdown']);
const KEPT_ERRORS = 4096;
/** A QEMU that ends breaks its connections first. Wait this long for its own error, which says more. */
const LAST_WORDS_MS = 1000;

/** QEMU's command line without libvirt's monitor and secret. */
export function uncontrolledArgv(argv: readonly string[]): string[] {
  const [program = '', ...words] = argv;
  const kept = optionsOf(words).filter(
    ([option, value = '']) => !LEFT_OUT.has(option) && !/charmonitor|"secret"/.test(value),
  );
  return [program, ...kept.flatMap(([option, value]) => (value === undefined ? [option] : [option, value]))];
}

/** The paths of the sockets that QEMU connects to, by the names of their devices. */
function socketsOf(argv: readonly string[]): { channel: string; console: string } {
  const pathOf = (id: string) => {
    const chardev = argv.find((word) => word.startsWith('socket,') && word.includes(`id=${id},`));
    const path = /path=([^,]+)/.exec(chardev ?? '')?.[1];
    if (path === undefined) throw new Error(`the command line of QEMU has no ${id}`);
    return path;
  };
  return { channel: pathOf('charchannel0'), console: pathOf('charserial0') };
}

/**
 * Starts the machine, and kills it when the guest is done.
 * @param argv QEMU's command line as libvirt would start it
 * @param guest sets up the guest and uses it; the listener is that of the channel, whose second connection is QEMU's
 *   monitor
 * @param limitMs for the whole of it, in milliseconds
 * @returns what the guest gave, and the seconds from QEMU's start until it is gone
 * @throws {Interrupted} when the signal came first; QEMU is then gone
 * @throws {Error} with QEMU's status and the last line of its stderr, when it ends by itself; or when the guest is not
 *   done in time
 */
export async function runBare<Result>(
  argv: readonly string[],
  guest: (listener: Listener) => Promise<Result>,
  signal?: AbortSignal,
  limitMs = TIMEOUT_MS,
): Promise<{ readonly result: Result; readonly seconds: number }> {
  if (signal?.aborted) throw new Interrupted();
  const [program = '', ...words] = uncontrolledArgv(argv);
  const paths = socketsOf(words);
  const directory = dirname(paths.channel);
  mkdirSync(directory, { recursive: true });
  // Where a sandbox has the view of the host's files.
  symlinkSync('/', join(directory, 'root'));
  const listeners = await Promise.all([Listener.open(paths.channel, { count: 2 }), Listener.open(paths.console)]);
  const start = process.hrtime.bigint();
  const qemu = spawn(program, words, { stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = endOf(qemu);
  const gone = ended.then((how) => Promise.reject(new Error(how)));
  const running = guest(listeners[0]).catch(async (error: unknown) => {
    await settlesWithin(ended, LAST_WORDS_MS);
    throw error;
  });
  try {
    const over = unlessAborted(Promise.race([running, gone]), signal, () => new Interrupted());
    if (!(await settlesWithin(over, limitMs)))
      throw new Error(`the guest of the bare QEMU was not done within ${limitMs / 1000} s`);
    const result = await over;
    qemu.kill('SIGKILL');
    await ended;
    return { result, seconds: Number(process.hrtime.bigint() - start) / 1e9 };
  } finally {
    qemu.kill('SIGKILL');
    for (const listener of listeners) listener.close();
    await ended;
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Settles when QEMU has ended, with a sentence that says how. */
function endOf(qemu: ChildProcessByStdio<null, null, Readable>): Promise<string> {
  let errors = '';
  qemu.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors = `${errors}${text}`.slice(-KEPT_ERRORS);
  });
  return new Promise((resolve) => {
    qemu.once('error', (error) => resolve(`the bare QEMU cannot be started: ${error.message}`));
    // Unlike `exit`, `close` comes after all of stderr is read.
    qemu.once('close', (status: number | null, killed: NodeJS.Signals | null) => {
      const last = errors.trimEnd().split('\n').at(-1) ?? '';
      resolve(`the bare QEMU ended with ${killed ?? `status ${status}`}${last === '' ? '' : `: ${last}`}`);
    });
  });
}
