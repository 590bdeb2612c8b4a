/**
 * A QEMU with the command line of a sandbox's machine, without libvirt and launcher: the same kernel, initrd, devices
 * and mount options. The file servers are started by hand.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { spawnApplication } from '../../../init/common/application.js';
import type { GuestConfig } from '../../../init/common/config.js';
import { drivePlan } from '../../../init/common/drive.js';
import { planSandbox } from '../../../init/common/plan.js';
import { runBare } from '../../../src/bench/run/bare-qemu.js';
import { BARE_GUEST } from '../../../src/bench/run/bare-restore.js';
import type { Subject } from '../../../src/bench/run/baseline.js';
import { commandLineUri } from '../../../src/bench/run/commands.js';
import { optionsOf, splitCommandLine } from '../../../src/bench/run/qemu-argv.js';
import { Channel } from '../../../src/protocol/channel.js';
import { isRecord, parseJson } from '../../../src/util/records.js';
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
    const guest: GuestConfig = {
      ...BARE_GUEST,
      root: root ? { type: 'virtiofs', tag: root.tag, readOnly: true } : BARE_GUEST.root,
      mounts: [{ target: TARGET, type: 'virtiofs', tag: share.tag, readOnly: false }],
      privileged: true,
      command: workCommand(TARGET, true),
    };
    const { result } = await runBare(
      argv,
      async (listener) => {
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
      undefined,
      mostSeconds * 1000,
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
  const xml = join(scratch, 'data.xml');
  const options = sandboxOptions(context, rootFs, directory);
  const domain = execFileSync(program, ['--print-xml', ...options, '--', '/bin/true'], { encoding: 'utf8' });
  // The program that libvirt would start, which it asks for its version, is made at the start of a sandbox.
  writeFileSync(xml, domain.replaceAll(/<binary path="[^"]*"/g, `<binary path="${SERVER}"`));
  const uri = commandLineUri(image.uri, scratch);
  const line = execFileSync('virsh', ['-q', '-c', uri, 'domxml-to-native', 'qemu-argv', xml], { encoding: 'utf8' });
  const [qemu = '', ...words] = splitCommandLine(line);
  const pairs = optionsOf(words);
  const served = pairs.flatMap(([option, value]) => {
    const device = option === '-device' && value !== undefined ? parseJson(value) : undefined;
    if (!isRecord(device) || !String(device['driver']).startsWith('vhost-user-fs')) return [];
    const { tag, chardev } = device;
    return [{ tag: String(tag), chardev: String(chardev), socket: join(scratch, `${String(chardev)}.sock`) }];
  });
  const argv = pairs.flatMap(([option, value]) => {
    if (value === undefined) return [option];
    const server = served.find(({ chardev }) => option === '-chardev' && value.includes(`id=${chardev},`));
    return [option, server ? `socket,id=${server.chardev},path=${server.socket}` : value];
  });
  return { argv: [qemu, ...argv], served };
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
