/**
 * The baseline of a warm start: QEMU with the machine's own command line and the same snapshot, started without
 * libvirt, whose guest does the least that a guest does.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { spawnApplication } from '../../../init/common/application.js';
import type { GuestConfig } from '../../../init/common/config.js';
import { drivePlan } from '../../../init/common/drive.js';
import { planSandbox } from '../../../init/common/plan.js';
import type { Snapshot } from '../../image/snapshot/record.js';
import { Channel } from '../../protocol/channel.js';
import { loadMachine } from '../../sandbox/snapshot/restore.js';
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
export function restoreArgv(argv: readonly string[]): string[] {
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
 * Restores the snapshot in a bare QEMU, once.
 * @param argv QEMU's command line as libvirt would start it
 * @returns the seconds from QEMU's start until it is gone, the guest having run /bin/true
 * @throws {Interrupted} when the signal came first; QEMU is then gone
 * @throws {Error} with QEMU's status and the last line of its stderr, when it ends by itself; or when it does not end
 */
export async function bareRestore(argv: readonly string[], snapshot: Snapshot, signal?: AbortSignal): Promise<number> {
  if (signal?.aborted) throw new Interrupted();
  const [program = '', ...words] = restoreArgv(argv);
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
  const running = runGuest(listeners[0], snapshot).catch(async (error: unknown) => {
    await settlesWithin(ended, LAST_WORDS_MS);
    throw error;
  });
  try {
    const over = unlessAborted(Promise.race([running, gone]), signal, () => new Interrupted());
    if (!(await settlesWithin(over, TIMEOUT_MS)))
      throw new Error(`the bare QEMU did not run /bin/true within ${TIMEOUT_MS / 1000} s`);
    await over;
    qemu.kill('SIGKILL');
    await ended;
    return Number(process.hrtime.bigint() - start) / 1e9;
  } finally {
    qemu.kill('SIGKILL');
    for (const listener of listeners) listener.close();
    await ended;
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Settles when the program has ended in the guest; never if QEMU does not connect. */
async function runGuest(listener: Listener, snapshot: Snapshot): Promise<void> {
  const [channel, monitor] = await Promise.all([
    listener.connection.then((socket) => Channel.resume(socket)),
    loadMachine(listener.connectionAt(1), snapshot, undefined),
  ]);
  const running = monitor.execute('cont');
  const now = { seconds: BigInt(Math.floor(Date.now() / 1000)), nanoseconds: 0 };
  const driving = drivePlan(channel, planSandbox(GUEST, { now, entropy: new Uint8Array(64), devices: new Map() }));
  await Promise.all([running, driving, spawnApplication(channel, GUEST)]);
  const { stdout, stderr, exited } = channel.application;
  stdout.resume();
  stderr.resume();
  await exited;
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

/** The same guest for every variant: mounts, disks and the command of a sandbox are not part of the baseline. */
const GUEST: GuestConfig = {
  platform: 'machine',
  hostname: 'bare',
  root: { type: '9p', tag: 'sandbox:root', readOnly: true },
  mounts: [],
  disks: [],
  network: undefined,
  devices: undefined,
  identity: { uid: 0, gid: 0, groups: [], username: 'root', home: '/' },
  privileged: false,
  environment: [],
  cwd: '/',
  command: ['/bin/true'],
  terminal: undefined,
};
