/**
 * The common init as a program in the guest, between the native init's test build and a launcher played by this test.
 */

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { constants } from 'node:os';
import { join, resolve } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type PacketHeader, PacketParser } from '../../../../src/protocol/packets.js';
import { HANDSHAKE_SYNC, HANDSHAKE_WAIT, MessageType, Proc, Status } from '../../../../src/protocol/wire.js';
import { scratchDirectory } from '../../../helpers/scratch.js';
import { packet, str, u32 } from '../native/driver.js';

const { errno } = constants;
/** `make test` builds it. */
const INIT = resolve('build/native/init-asan');
const COMMON_INIT = fileURLToPath(new URL('../../../../init/common/guest.js', import.meta.url));
/** The port's descriptor in the common init; the native init's channel is the one before. */
const PORT_FD = 4;

interface Answer {
  readonly proc: number;
  readonly status: number;
  readonly errno: number;
  readonly detail: string;
}

interface Inside {
  readonly native: ChildProcess;
  readonly common: ChildProcess;
  /** The launcher's end of the common init's port, after the handshake. */
  readonly port: Socket;
  call(proc: number, payload: Buffer): Promise<Answer>;
}

/** Both inits, and the launcher's end of the port after the handshake. */
async function start(t: TestContext): Promise<Inside> {
  const path = join(scratchDirectory(t), 'channel');
  const server = createServer({ pauseOnConnect: true }).listen(path);
  await once(server, 'listening');
  const native = spawn(INIT, ['--channel-unix', path], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, ASAN_OPTIONS: 'detect_leaks=0' },
  });
  t.after(() => {
    server.close();
    native.kill('SIGKILL');
  });
  const gone = once(native, 'exit').then(([code]): never => assert.fail(`the native init ended with ${code}`));
  const [channel] = (await Promise.race([once(server, 'connection'), gone])) as [Socket];
  server.close();
  const common = spawn(process.execPath, [COMMON_INIT], { stdio: ['ignore', 'ignore', 'inherit', channel, 'pipe'] });
  t.after(() => common.kill('SIGKILL'));
  channel.destroy();
  const port = common.stdio[PORT_FD] as Socket;
  port.on('error', () => {});

  port.write(Buffer.of(HANDSHAKE_WAIT));
  const [greeting] = (await once(port, 'data')) as [Buffer];
  assert.deepEqual(greeting, Buffer.of(HANDSHAKE_SYNC));
  port.write(Buffer.of(HANDSHAKE_SYNC));

  const packets: { readonly header: PacketHeader; readonly payload: Buffer }[] = [];
  const parser = new PacketParser({
    stream: () => {},
    streamEnd: () => {},
    packet: (header, payload) => packets.push({ header, payload }),
  });
  port.on('data', (bytes: Buffer) => parser.push(bytes));
  const ended = once(common, 'exit').then(() => assert.fail('the common init ended'));
  ended.catch(() => {});
  let serial = 0;
  const next = async () => {
    while (packets.length === 0) await Promise.race([once(port, 'data'), ended]);
    const first = packets.shift();
    assert.ok(first);
    return first;
  };
  assert.equal((await next()).header.proc, Proc.READY);
  const call = async (proc: number, payload: Buffer): Promise<Answer> => {
    serial += 1;
    port.write(packet(proc, MessageType.CALL, 0, serial, payload));
    const { header, payload: said } = await next();
    assert.deepEqual([header.type, header.serial], [MessageType.REPLY, serial]);
    const failed = header.status === Status.ERROR;
    return {
      proc: header.proc,
      status: header.status,
      errno: failed ? said.readUInt32BE(4) : 0,
      detail: failed ? said.toString('utf8', 12) : '',
    };
  };
  return { native, common, port, call };
}

test('answers bad calls with an error, and continues', async (t) => {
  const { native, common, port, call } = await start(t);
  const failure = async (proc: number, payload: Buffer) => (await call(proc, payload)).errno;
  for (const proc of [Proc.CONFIGURE, Proc.ARRANGE]) assert.equal(await failure(proc, u32(1000)), errno.EPROTO);
  // The native init's own answers: no application runs yet, and there is no such call.
  assert.equal(await failure(1000, u32(15)), errno.ENOSYS);
  assert.equal(await failure(Proc.SIGNAL, Buffer.concat([u32(1), u32(15)])), errno.ESRCH);
  // The configuration is empty.
  const { status, detail } = await call(Proc.CONFIGURE, str('{}'));
  assert.equal(status, Status.ERROR);
  assert.equal(JSON.parse(detail).operation, 'configure');
  // QUIT is passed on. In a machine, everything ends with the native init.
  const ends = [once(native, 'exit'), once(common, 'exit')];
  port.end(packet(Proc.QUIT, MessageType.MESSAGE, 0, 0, Buffer.alloc(0)));
  for (const [code] of await Promise.all(ends)) assert.equal(code, 0);
});
