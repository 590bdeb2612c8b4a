/** The floor of a warm start: QEMU started by hand with the machine's own command line, the same state, the same steps inside, and no libvirt. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { spawnApplication } from '../../init/common/application.js';
import type { GuestConfig } from '../../init/common/config.js';
import { drivePlan } from '../../init/common/drive.js';
import { planSandbox } from '../../init/common/plan.js';
import { Channel } from '../guest/channel.js';
import type { WarmImage } from '../image/warm.js';
import { Listener } from '../sandbox/listener.js';
import { loadMachine } from '../sandbox/warm-restore.js';
import { optionsOf } from './qemu-argv.js';

/** How libvirt steers QEMU: left out here. */
const LEFT_OUT = new Set(['-name', '-S', '-no-shutdown']);

/** The same command line, less libvirt's monitor and secret. */
export function restoreArgv(argv: readonly string[]): string[] {
  const [program = '', ...words] = argv;
  const kept = optionsOf(words).filter(
    ([option, value = '']) => !LEFT_OUT.has(option) && !/charmonitor|"secret"/.test(value),
  );
  return [program, ...kept.flatMap(([option, value]) => (value === undefined ? [option] : [option, value]))];
}

/** The paths of the sockets that QEMU connects to, by the names of their devices. */
function socketsOf(argv: readonly string[]): { channel: string; console: string; monitor: string } {
  const pathOf = (id: string) => {
    const chardev = argv.find((word) => word.startsWith('socket,') && word.includes(`id=${id},`));
    const path = /path=([^,]+)/.exec(chardev ?? '')?.[1];
    if (path === undefined) throw new Error(`the command line of QEMU has no ${id}`);
    return path;
  };
  return { channel: pathOf('charchannel0'), console: pathOf('charserial0'), monitor: pathOf('warm-monitor') };
}

/** @returns the seconds from QEMU's start until it is gone, the guest having run /bin/true */
export async function bareRestore(argv: readonly string[], warm: WarmImage): Promise<number> {
  const [program = '', ...words] = restoreArgv(argv);
  const paths = socketsOf(words);
  const directory = dirname(paths.channel);
  mkdirSync(directory, { recursive: true });
  const listeners = await Promise.all(
    [paths.channel, paths.console, paths.monitor].map((path) => Listener.open(path, process.geteuid?.())),
  );
  const [channelListener, , monitorListener] = listeners;
  const start = process.hrtime.bigint();
  const qemu = spawn(program, words, { stdio: 'ignore' });
  const ended = once(qemu, 'exit');
  try {
    if (!channelListener || !monitorListener) throw new Error('there are three sockets');
    const loading = loadMachine(monitorListener.connection, warm);
    const channel = Channel.resume(await channelListener.connection);
    await loading;
    const now = { seconds: BigInt(Math.floor(Date.now() / 1000)), nanoseconds: 0 };
    const driving = drivePlan(channel, planSandbox(GUEST, { now, entropy: new Uint8Array(64), devices: new Map() }));
    await Promise.all([driving, spawnApplication(channel, GUEST)]);
    channel.stdout.resume();
    channel.stderr.resume();
    await channel.exited;
    qemu.kill('SIGKILL');
    await ended;
    return Number(process.hrtime.bigint() - start) / 1e9;
  } finally {
    qemu.kill('SIGKILL');
    for (const listener of listeners) listener.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

const GUEST: GuestConfig = {
  place: 'machine',
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
