/**
 * A QEMU with the command line of a sandbox's machine, without libvirt and launcher: the same kernel, initrd, devices
 * and mount options. The file servers are started by hand.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { spawnApplication } from '../../../init/common/application.js';
import type { GuestConfig } from '../../../init/common/config.js';
import { drivePlan } from '../../../init/common/drive.js';
import { planSandbox } from '../../../init/common/plan.js';
import { runBare } from '../../../src/bench/run/bare-qemu.js';
import { bareGuest } from '../../../src/bench/run/bare-restore.js';
import { virtiofsDevices } from '../../../src/bench/run/bare-root.js';
import type { Subject } from '../../../src/bench/run/baseline.js';
import { commandLineUri } from '../../../src/bench/run/commands.js';
import { nativeArgv } from '../../../src/bench/run/native-argv.js';
import { joinOptions, optionsOf } from '../../../src/bench/run/qemu-argv.js';
import { Channel } from '../../../src/protocol/channel.js';
import { MOST_SECONDS, sandboxOptions, TARGET, workCommand } from './inside.js';
import type { Streams } from './work.js';

const SERVER = '/usr/libexec/virtiofsd';
const READY_MS = 60_000;

/** A share of the machine that virtiofsd serves. */
interface Served {
  readonly tag: string;
  readonly socket: string;
}

export async function runBareWork<Result>(
  context: Subject,
  rootFs: '9p' | 'virtiofs',
  directory: string,
  drive: (streams: Streams) => Promise<Result>,
  mostSeconds = MOST_SECONDS,
): Promise<Result> {
  const { argv, served } = bareArgv(context, rootFs, directory);
  const root = served.find(({ tag }) => tag.endsWith('rootfs'));
  const share = served.find(({ tag }) => tag !== root?.tag);
  if (share === undefined) throw new Error('the command line of QEMU has no share for the directory');
  const servers = [serve(share, directory, []), ...(root ? [serve(root, '/', ['--readonly'])] : [])];
  try {
    for (const { socket } of served) await ready(socket);
    const { result } = await runBare(
      argv,
      async (machine) => {
        const { listener } = machine;
        const guest: GuestConfig = {
          ...bareGuest(machine.root),
          mounts: [{ target: TARGET, type: 'virtiofs', tag: share.tag, readOnly: false }],
          privileged: true,
          command: workCommand(TARGET, true),
        };
        const { channel } = await Channel.open(await listener.connection);
        const now = { seconds: BigInt(Math.floor(Date.now() / 1000)), nanoseconds: 0 };
        await drivePlan(channel, planSandbox(guest, { now, entropy: new Uint8Array(64), devices: new Map() }));
        await spawnApplication(channel, guest);
        const { stdin, stdout, stderr, exited } = channel.application;
        stderr.resume();
        const made = await drive({ stdin, stdout });
        stdout.resume();
        await exited;
        return made;
      },
      { isServed: true, limitMs: mostSeconds * 1000 },
    );
    return result;
  } finally {
    await Promise.all(servers.map(end));
  }
}

/** The command line of the sandbox's machine, whose file servers are reached through sockets of ours. */
function bareArgv(
  context: Subject,
  rootFs: '9p' | 'virtiofs',
  directory: string,
): { argv: string[]; served: readonly Served[] } {
  const { program, scratch, image } = context;
  const options = sandboxOptions(context, rootFs, directory);
  const [qemu = '', ...words] = nativeArgv({ program, scratch, uri: commandLineUri(image.uri, scratch) }, options);
  const served = virtiofsDevices(words).map(({ tag, chardev }) => {
    return { tag, chardev, socket: join(scratch, `${chardev}.sock`) };
  });
  const argv = optionsOf(words).map(([option, value]) => {
    const server = served.find(({ chardev }) => option === '-chardev' && value?.includes(`id=${chardev},`));
    return [option, server ? `socket,id=${server.chardev},path=${server.socket}` : value] as const;
  });
  return { argv: [qemu, ...joinOptions(argv)], served };
}

function serve({ socket }: Served, directory: string, options: readonly string[]): ChildProcess {
  const words = [`--socket-path=${socket}`, `--shared-dir=${directory}`, '--sandbox=chroot', ...options];
  const handles = ['--inode-file-handles=prefer', '--modcaps=+dac_read_search'];
  return spawn(SERVER, [...words, ...handles], { stdio: 'ignore' });
}

async function ready(socket: string): Promise<void> {
  const deadline = performance.now() + READY_MS;
  while (!existsSync(socket)) {
    if (performance.now() > deadline) throw new Error(`${SERVER} did not make its socket`);
    await sleep(10);
  }
}

/** A server ends with its QEMU, or here. */
async function end(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return;
  const ended = once(server, 'exit');
  server.kill('SIGKILL');
  await ended;
}
