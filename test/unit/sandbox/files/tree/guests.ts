/** Guests for copies: the native init itself, as a process of the host, and one that lies. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import type { TestContext } from 'node:test';
import type { GuestConfig } from '../../../../../init/common/config.js';
import { Channel } from '../../../../../src/protocol/channel.js';
import type { PacketHeader } from '../../../../../src/protocol/packets.js';
import { MessageType, Proc } from '../../../../../src/protocol/wire.js';
import { FakeGuest } from '../../../../helpers/fake-guest.js';
import { scratchDirectory } from '../../../../helpers/scratch.js';
import { exit, spawned, stdinTaken, stream } from '../../../protocol/guest.js';

const INIT = resolve('build/native/init-asan');

/** The user of this process, with all that it may do. */
export const CONFIG: GuestConfig = {
  platform: 'machine',
  hostname: 'guest',
  root: { type: 'ram', bytes: 0 },
  mounts: [],
  disks: [],
  devices: undefined,
  identity: {
    uid: process.getuid?.() ?? 0,
    gid: process.getgid?.() ?? 0,
    groups: process.getgroups?.() ?? [],
    username: userInfo().username,
    home: '/',
  },
  privileged: true,
  environment: [],
  network: undefined,
  cwd: '/',
  command: [],
  terminal: undefined,
};

export interface NativeGuest {
  readonly channel: Channel;
  readonly init: ChildProcess;
}

/** The native init's test build. Its files are those of the host. */
export async function nativeGuest(t: TestContext): Promise<NativeGuest> {
  const path = join(scratchDirectory(t), 'channel');
  const server = createServer({ pauseOnConnect: true }).listen(path);
  await once(server, 'listening');
  const init = spawn(INIT, ['--channel-unix', path], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, ASAN_OPTIONS: 'detect_leaks=0:exitcode=99' },
  });
  t.after(() => {
    server.close();
    init.kill('SIGKILL');
  });
  const gone = once(init, 'exit').then(([code]): never => assert.fail(`the init ended with ${code}`));
  gone.catch(() => {});
  const [socket] = (await Promise.race([once(server, 'connection'), gone])) as [Socket];
  server.close();
  t.after(() => void socket.destroy());
  socket.resume();
  const { channel } = await Channel.open(socket);
  return { channel, init };
}

export interface Lie {
  /** What it sends as the output of the process that it is to start. */
  readonly output?: readonly Buffer[];
  /** What it sends when this is settled. */
  readonly later?: Promise<readonly Buffer[]>;
  /** As a report on stderr. */
  readonly report?: Buffer;
  /** Raw wait status; undefined: it never ends. */
  readonly status?: number | undefined;
}

/** A guest that starts nothing, and says what a program of its init would have written. It takes all stdin. */
export function lyingGuest({ output = [], later = Promise.resolve([]), report, status }: Lie): Channel {
  const answer = ({ proc, type, serial }: PacketHeader, payload: Buffer) => {
    if (proc === Proc.STDIN && payload.length > 0) guest.say(stdinTaken(serial, payload.length));
    if (proc !== Proc.SPAWN || type !== MessageType.CALL) return;
    guest.say(spawned(serial, 1));
    for (const bytes of output) guest.say(stream(Proc.STDOUT, 1, bytes));
    if (report !== undefined) guest.say(stream(Proc.STDERR, 1, report));
    void later.then((more) => {
      for (const bytes of more) guest.say(stream(Proc.STDOUT, 1, bytes));
      if (status !== undefined) guest.say(exit(1, status));
    });
  };
  const guest = new FakeGuest(answer);
  return guest.channel;
}
