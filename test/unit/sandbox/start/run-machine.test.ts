/** Letting a restored machine run, with a QEMU whose machine turns itself off as soon as it runs. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Domain } from '../../../../src/libvirt/connection.js';
import { Monitor, MonitorRefusal } from '../../../../src/libvirt/monitor.js';
import { runRestored } from '../../../../src/sandbox/start/run-machine.js';
import { deferred } from '../../../../src/util/promises.js';
import { unlessProgram } from '../../../helpers/images.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

/** Boot sector: `mov dx, 0x604; mov ax, 0x2000; out dx, ax; hlt` asks the power management of QEMU's PC for S5. */
const TURN_OFF = [0xba, 0x04, 0x06, 0xb8, 0x00, 0x20, 0xef, 0xf4];

/** A machine that stands still. Like libvirt's, its QEMU stays when it is turned off. */
async function machine(t: TestContext): Promise<Monitor> {
  const directory = scratchDirectory(t);
  const disk = Buffer.alloc(512);
  Buffer.from(TURN_OFF).copy(disk);
  disk.writeUInt16LE(0xaa55, 510);
  writeFileSync(join(directory, 'disk'), disk);
  const path = join(directory, 'monitor');
  const server = createServer();
  await once(server.listen(path), 'listening');
  const connecting = once(server, 'connection') as Promise<[Socket]>;
  const qemu = spawn(
    'qemu-system-x86_64',
    [
      ...['-nodefaults', '-no-user-config', '-machine', 'pc,accel=tcg', '-m', '32', '-display', 'none'],
      ...['-S', '-no-shutdown', '-drive', `file=${join(directory, 'disk')},format=raw`],
      ...['-chardev', `socket,id=monitor,path=${path}`, '-mon', 'chardev=monitor,mode=control'],
    ],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
  const ended = once(qemu, 'exit');
  t.after(async () => {
    qemu.kill('SIGKILL');
    await ended;
  });
  const [socket] = await connecting;
  server.close();
  return new Monitor(socket);
}

async function stateOf(monitor: Monitor): Promise<unknown> {
  return ((await monitor.execute('query-status')) as { status: unknown }).status;
}

async function turnedOff(monitor: Monitor): Promise<void> {
  while ((await stateOf(monitor)) !== 'shutdown') await sleep(20);
}

const skip = unlessProgram('qemu-system-x86_64');
const DOMAIN = {} as Domain;

it('a machine with limits runs when libvirt has started it', { skip, timeout: 60_000 }, async (t) => {
  const monitor = await machine(t);
  const { promise: started, resolve } = deferred<Domain>();
  const running = runRestored(monitor, { name: 'test', mayRunEarly: false, started });
  await sleep(50);
  assert.equal(await stateOf(monitor), 'prelaunch');
  resolve(DOMAIN);
  await running;
  await turnedOff(monitor);
});

it('a machine that has ended before libvirt has started it has run', { skip, timeout: 60_000 }, async (t) => {
  const monitor = await machine(t);
  const { promise: started, resolve } = deferred<Domain>();
  const running = runRestored(monitor, { name: 'test', mayRunEarly: false, started });
  await monitor.execute('cont');
  await turnedOff(monitor);
  await assert.rejects(monitor.execute('cont'), MonitorRefusal);
  resolve(DOMAIN);
  await running;
});
