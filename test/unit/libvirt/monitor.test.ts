/** The launcher's monitor, with a QEMU that its guest has taken over: it sends what it likes. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { MESSAGE_CHARACTERS, Monitor, MonitorError } from '../../../src/libvirt/monitor.js';
import { scratchDirectory } from '../../helpers/scratch.js';

/** A monitor, and QEMU's end of its connection. */
async function connected(t: TestContext): Promise<{ monitor: Monitor; qemu: Socket }> {
  const path = join(scratchDirectory(t), 'socket');
  const server = createServer();
  await once(server.listen(path), 'listening');
  const connecting = once(server, 'connection') as Promise<[Socket]>;
  const qemu = new Socket().connect(path);
  qemu.on('error', () => {});
  const [socket] = await connecting;
  server.close();
  t.after(() => qemu.destroy());
  return { monitor: new Monitor(socket), qemu };
}

const GREETING = '{"QMP": {"version": {}, "capabilities": []}}\r\n';

test('a message may come in pieces', async (t) => {
  const { monitor, qemu } = await connected(t);
  const message = `${GREETING}{"return": {}}\r\n{"return": {"status": "running"}}\r\n`;
  const status = monitor.execute('query-status');
  for (const letter of message) qemu.write(letter);
  assert.deepEqual(await status, { status: 'running' });
  monitor.close();
});

test('a message without an end is given up at a bound', async (t) => {
  const { monitor, qemu } = await connected(t);
  const status = monitor.execute('query-status');
  qemu.write(GREETING);
  const piece = Buffer.alloc(1 << 16, 'x');
  let sent = 0;
  const closed = new Promise((resolve) => qemu.once('close', resolve));
  // Until nobody takes more.
  const flood = () => {
    while (!qemu.destroyed && qemu.write(piece)) sent += piece.length;
  };
  qemu.on('drain', flood);
  flood();
  await assert.rejects(status, (error: Error) => {
    assert.ok(error instanceof MonitorError);
    assert.equal(error.message, `QEMU's monitor sent a message of more than ${MESSAGE_CHARACTERS} characters`);
    return true;
  });
  await closed;
  assert.ok(sent < 8 * MESSAGE_CHARACTERS, `${sent} bytes were read`);
});

test('a message that is not JSON ends the monitor, and not the program', async (t) => {
  const { monitor, qemu } = await connected(t);
  const status = monitor.execute('query-status');
  qemu.write(`${GREETING}{"return": \r\n`);
  await assert.rejects(status, /QEMU's monitor sent a message that is not JSON/);
  await assert.rejects(monitor.answered, MonitorError);
});
