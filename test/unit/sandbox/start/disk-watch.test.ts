/** What is said of the I/O errors that QEMU reports. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { it, type TestContext } from 'node:test';
import { Monitor, type MonitorEvent } from '../../../../src/libvirt/monitor.js';
import { watchDisks } from '../../../../src/sandbox/start/disk-watch.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

const DISKS = [
  { source: '/srv/a.img', readOnly: false },
  { source: '/srv/b.qcow2', readOnly: false },
];
const FULL = 'No space left on device';

/** The sentences for these lines of a QEMU. */
async function told(t: TestContext, disks: typeof DISKS, lines: readonly object[]): Promise<string[]> {
  const server = createServer();
  const path = join(scratchDirectory(t), 'monitor');
  await once(server.listen(path), 'listening');
  const connecting = once(server, 'connection') as Promise<[Socket]>;
  const qemu = connect(path);
  const [socket] = await connecting;
  server.close();
  const monitor = new Monitor(socket);
  const sentences: string[] = [];
  watchDisks(monitor, disks, (sentence) => sentences.push(sentence));
  const over = monitor.next(({ name }) => name === 'SHUTDOWN');
  qemu.write([...lines, { event: 'SHUTDOWN' }].map((line) => `${JSON.stringify(line)}\n`).join(''));
  await over;
  monitor.close();
  qemu.destroy();
  return sentences;
}

function errorOf(number: number | undefined, reason: string, operation = 'write'): object {
  const path = number === undefined ? {} : { 'qom-path': `/machine/peripheral/virtio-disk${number}/virtio-backend` };
  return { event: 'BLOCK_IO_ERROR', data: { ...path, device: '', operation, action: 'report', reason } };
}

it('each disk is named once for each kind of failure', async (t) => {
  const lines = [
    { event: 'RESUME' },
    ...[1, 1, 0].map((number) => errorOf(number, FULL)),
    errorOf(1, 'Input/output error'),
    errorOf(1, 'Input/output error', 'read'),
    errorOf(1, 'Disk quota exceeded'),
  ];
  assert.deepEqual(
    (await told(t, DISKS, lines)).map((sentence) => sentence.split(/[:,;]/)[0]),
    [
      'the host has no space left for the disk /srv/b.qcow2',
      'the host has no space left for the disk /srv/a.img',
      'the host cannot write to the disk /srv/b.qcow2',
      'the host cannot read from the disk /srv/b.qcow2',
    ],
  );
});

it('a QEMU that does not say which disk, or one that lies, has no other sentence', async (t) => {
  const forged = {
    event: 'BLOCK_IO_ERROR',
    data: { 'qom-path': '/virtio-disk99/\u001b[2J', operation: 7, reason: {} },
  };
  const sentences = await told(t, DISKS, [errorOf(undefined, FULL), forged]);
  assert.match(sentences[0] ?? '', /^the host has no space left for a disk: writes fail inside/);
  assert.match(sentences[1] ?? '', /^the host cannot write to a disk, so I\/O fails inside/);
  assert.equal(sentences.length, 2);
  assert.match((await told(t, DISKS.slice(0, 1), [errorOf(undefined, FULL)]))[0] ?? '', / for the disk \/srv\/a\.img:/);
});

it('nothing is said of a guest that writes to a read-only disk', async (t) => {
  const disks = DISKS.map((disk, index) => ({ ...disk, readOnly: index === 1 }));
  const lines = [
    errorOf(1, 'Operation not permitted'),
    errorOf(1, FULL),
    errorOf(1, 'Input/output error', 'read'),
    errorOf(0, 'Input/output error'),
  ];
  const cause = "so I/O fails inside; if the disk is at fault, the host's kernel says so (dmesg)";
  assert.deepEqual(await told(t, disks, lines), [
    `the host cannot read from the disk /srv/b.qcow2, ${cause}`,
    `the host cannot write to the disk /srv/a.img, ${cause}`,
  ]);
});

it('a handler is not called while the monitor reads, so one that throws does no harm there', async () => {
  const sentences: string[] = [];
  let listener: (event: MonitorEvent) => void = () => {};
  const monitor: Pick<Monitor, 'listen'> = {
    listen: (added) => {
      listener = added;
      return () => {};
    },
  };
  watchDisks(monitor, DISKS, (sentence) => sentences.push(sentence));
  listener({ name: 'BLOCK_IO_ERROR', data: { operation: 'write', reason: FULL } });
  assert.deepEqual(sentences, []);
  await Promise.resolve();
  assert.equal(sentences.length, 1);
});
