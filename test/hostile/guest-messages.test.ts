/**
 * Promise: what a guest sends costs the launcher no more than it says, and decides nothing but what it reports.
 * The attacker is a guest that answers the launcher over the channel. The victim is the launcher's own code.
 */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { GuestConfig } from '../../init/common/config.js';
import { NETWORK_REMEDIES } from '../../init/common/network-errors.js';
import { configFromOptions } from '../../src/config/options.js';
import { Channel } from '../../src/protocol/channel.js';
import { FieldWriter } from '../../src/protocol/fields.js';
import { encodePacket, PacketParser } from '../../src/protocol/packets.js';
import { encodeReady } from '../../src/protocol/ready.js';
import {
  HANDSHAKE_SYNC,
  MAX_SPAWN_BYTES,
  MessageType,
  PROTOCOL_VERSION,
  Proc,
  Status,
} from '../../src/protocol/wire.js';
import { startInGuest } from '../../src/sandbox/setup/guest-init.js';
import { Console } from '../../src/sandbox/start/console.js';
import { Deadline } from '../../src/sandbox/start/deadline.js';
import { rejectsWith } from '../helpers/errors.js';
import { scratchDirectory } from '../helpers/scratch.js';

const MIB = 1 << 20;

describe('a message that comes byte by byte', () => {
  it('takes no more memory than its size', () => {
    const packet = encodePacket(Proc.SPAWN, MessageType.CALL, 0, 1, Buffer.alloc(MAX_SPAWN_BYTES - 20, 'x'));
    let received = 0;
    const parser = new PacketParser({
      stream: () => {},
      streamEnd: () => {},
      packet: (_header, payload) => {
        received = payload.length;
      },
    });
    const before = process.memoryUsage.rss();
    // As a socket gives them: each a Buffer of its own.
    for (let at = 0; at < packet.length - 1; at += 1) parser.push(Buffer.from([packet[at] ?? 0]));
    const taken = process.memoryUsage.rss() - before;
    parser.push(packet.subarray(-1));
    assert.equal(received, MAX_SPAWN_BYTES - 20);
    // 0.9 took 300 MiB. Garbage that is not collected yet is in it.
    assert.ok(taken < 100 * MIB, `${Math.round(taken / MIB)} MiB`);
  });
});

/** A guest whose common init answers every call, and the configuration with this error. */
async function lyingGuest(t: TestContext, detail: string): Promise<Channel> {
  const path = join(scratchDirectory(t), 'channel');
  const server = createServer((socket) => answer(socket, detail)).listen(path);
  await once(server, 'listening');
  const socket = connect(path);
  t.after(() => {
    socket.destroy();
    server.close();
  });
  return (await Channel.open(socket)).channel;
}

function answer(socket: Socket, detail: string): void {
  const parser = new PacketParser({
    stream: () => {},
    streamEnd: () => {},
    packet: ({ proc, type, serial }) => {
      if (type !== MessageType.CALL) return;
      const isLie = proc === Proc.CONFIGURE;
      const payload = isLie ? new FieldWriter().u32(0).u32(5).str(detail) : new FieldWriter().u32(0);
      const status = isLie ? Status.ERROR : Status.OK;
      socket.write(encodePacket(proc, MessageType.REPLY, status, serial, payload.finish()));
    },
  });
  const ready = { protocol: PROTOCOL_VERSION, kernelRelease: '6', initStarted: 1n, initReady: 2n, modules: [] };
  let isGreeted = false;
  socket
    .on('error', () => {})
    .on('data', (bytes: Buffer) => {
      if (isGreeted) {
        parser.push(bytes);
      } else if (bytes.includes(HANDSHAKE_SYNC)) {
        isGreeted = true;
        socket.write(encodePacket(Proc.READY, MessageType.MESSAGE, 0, 0, encodeReady(ready)));
        parser.push(bytes.subarray(bytes.indexOf(HANDSHAKE_SYNC) + 1));
      } else {
        socket.write(Uint8Array.of(HANDSHAKE_SYNC));
      }
    });
}

describe('an error that a guest reports', () => {
  const report = async (t: TestContext, detail: string) => {
    const channel = await lyingGuest(t, detail);
    const config = await configFromOptions({ command: ['true'] });
    const deadline = new Deadline(10_000, undefined);
    t.after(() => deadline.clear());
    const guest = { command: ['true'], identity: {} } as unknown as GuestConfig;
    return startInGuest({ channel, config, guest, console: new Console(), options: {}, deadline });
  };

  it('has no say in the exit status, the stage, the remedy and the lines of the console', async (t) => {
    const network = { code: 'dhcp-refused', remedy: 'lie', exitCode: 0, stage: 'config', consoleTail: ['lie'] };
    const detail = JSON.stringify({ operation: 'route', message: 'no lease', network, exitCode: 0 });
    const error = await rejectsWith(report(t, detail), 'dhcp-refused');
    const { exitCode, stage, consoleTail, message, remedy } = error;
    assert.deepEqual(
      { exitCode, stage, consoleTail, message, remedy },
      { exitCode: 125, stage: 'init', consoleTail: [], message: 'no lease', remedy: NETWORK_REMEDIES['dhcp-refused'] },
    );
  });

  it('has no code that only the launcher gives', async (t) => {
    const network = { code: 'disks-not-owned', remedy: 'lie' };
    const detail = JSON.stringify({ operation: 'route', message: 'no lease', network });
    assert.equal((await rejectsWith(report(t, detail), 'spawn-failed')).exitCode, 125);
  });

  for (const detail of [
    'null',
    '[]',
    '{}',
    '{"operation":1,"message":{}}',
    '{"operation":"a","message":"b","network":7}',
    '"',
  ]) {
    it(`is an error of the sandbox, whatever its form: ${detail}`, async (t) => {
      await assert.rejects(report(t, detail), (error) => error instanceof Error && !(error instanceof TypeError));
    });
  }
});
