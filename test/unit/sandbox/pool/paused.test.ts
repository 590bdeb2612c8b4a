/** A machine that waits with its processors stopped, before a QEMU that lets it run, or lies. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import { Monitor } from '../../../../src/libvirt/monitor.js';
import { PausedMachine } from '../../../../src/sandbox/pool/paused.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

const RESUME = '{"event": "RESUME", "timestamp": {"seconds": 1, "microseconds": 1}}\r\n';
const DONE = '{"return": {}}\r\n';

/** A QEMU that does what it is told, and says more. */
class Qemu {
  readonly heard: string[] = [];
  /** What it says when it is told to stop, before its answer. */
  beforeStopped = '';
  readonly #socket: Socket;

  constructor(socket: Socket) {
    this.#socket = socket;
    createInterface(socket).on('line', (line) => {
      const { execute } = JSON.parse(line) as { readonly execute: string };
      this.heard.push(execute);
      socket.write(`${execute === 'stop' ? this.beforeStopped : ''}${DONE}`);
    });
  }

  say(text: string): void {
    this.#socket.write(text);
  }

  get stops(): number {
    return this.heard.filter((command) => command === 'stop').length;
  }
}

async function connected(t: TestContext): Promise<{ readonly monitor: Monitor; readonly qemu: Qemu }> {
  const path = join(scratchDirectory(t), 'socket');
  const server = createServer();
  await once(server.listen(path), 'listening');
  const connecting = once(server, 'connection') as Promise<[Socket]>;
  const socket = new Socket().connect(path);
  const [accepted] = await connecting;
  server.close();
  t.after(() => {
    socket.destroy();
    accepted.destroy();
  });
  const qemu = new Qemu(socket);
  qemu.say('{"QMP": {"version": {}, "capabilities": []}}\r\n');
  return { monitor: new Monitor(accepted), qemu };
}

/** All that QEMU has said until now is heard, and answered. */
const settled = (monitor: Monitor) => monitor.execute('query-status');

test('a machine that libvirt lets run is stopped again, until it is to run', async (t) => {
  const { monitor, qemu } = await connected(t);
  const paused = await PausedMachine.pause(monitor);
  assert.equal(qemu.stops, 1);
  qemu.say(RESUME);
  await settled(monitor);
  await settled(monitor);
  assert.equal(qemu.stops, 2);
  await paused.resume();
  qemu.say(RESUME);
  await settled(monitor);
  await settled(monitor);
  assert.deepEqual([qemu.stops, qemu.heard.includes('cont')], [2, true]);
});

test('one that is let run while it is being stopped is stopped again', async (t) => {
  const { monitor, qemu } = await connected(t);
  qemu.beforeStopped = RESUME;
  await PausedMachine.pause(monitor);
  qemu.beforeStopped = '';
  await settled(monitor);
  assert.ok(qemu.stops > 1, String(qemu.stops));
});

test('a QEMU that says so without end is not answered without end', async (t) => {
  const { monitor, qemu } = await connected(t);
  qemu.beforeStopped = RESUME;
  await PausedMachine.pause(monitor);
  qemu.say(RESUME.repeat(10_000));
  for (let turn = 0; turn < 20; turn += 1) await settled(monitor);
  assert.ok(qemu.stops < 20, String(qemu.stops));
});
