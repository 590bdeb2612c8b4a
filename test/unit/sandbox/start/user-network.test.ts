/** The processes of user networking: which of them failed, and what is said of it. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { UserNetworkProcesses } from '../../../../src/sandbox/start/user-network.js';
import { REPOSITORY } from '../../../helpers/run.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

const NETWALL = `${REPOSITORY}dist/native/netwall`;
const WALL = ['--name', 'test', '--router', '10.0.2.2'];
const OPEN = ['--name', 'test', '--open'];

/** Serves a connection by netwall with these arguments. */
async function serve(t: TestContext, args: readonly string[], open = false, program = NETWALL) {
  const processes = new UserNetworkProcesses([program, ...args], { count: 1, open });
  const path = join(scratchDirectory(t), 'socket');
  const server = createServer();
  await once(server.listen(path), 'listening');
  const served = new Promise<Socket>((resolve) =>
    server.once('connection', (socket) => {
      processes.serve(socket);
      resolve(socket);
    }),
  );
  const qemu = connect(path).on('error', () => {});
  const socket = await served;
  assert.ok(socket.destroyed);
  server.close();
  t.after(async () => {
    qemu.destroy();
    await processes.end();
  });
  return { processes, qemu };
}

describe('what fails of user networking', () => {
  it('is netwall, if spawn() refuses it at once', async (t) => {
    // Longer than the kernel takes: spawn() throws.
    const { processes } = await serve(t, ['x'.repeat(1 << 22)]);
    await assert.rejects(processes.failed, { code: 'network-failed', message: /^netwall, .* failed: .*E2BIG/ });
  });

  it('is netwall, if it is not there', async (t) => {
    const { processes } = await serve(t, WALL, false, '/nonexistent/netwall');
    await assert.rejects(processes.failed, { code: 'network-failed', message: /^netwall, .* failed: .*ENOENT/ });
  });

  it('happens in /, not where the caller is', async (t) => {
    const { processes } = await serve(t, ['-c', 'pwd >&2; exit 1'], true, '/bin/sh');
    await assert.rejects(processes.failed, { code: 'network-failed', message: /: \/$/ });
  });

  it('is netwall, if QEMU sends it no frames', async (t) => {
    const { processes, qemu } = await serve(t, [...WALL, '/bin/sh', '-c', 'cat <&3 >/dev/null']);
    qemu.write(Buffer.from([0xff, 0xff, 0xff, 0xff]));
    await assert.rejects(processes.failed, {
      code: 'network-failed',
      message: /^netwall, .* failed: QEMU sends what is no frame$/,
      remedy: /^allow the host what the message names/,
    });
  });

  it('is netwall, if the kernel kills it', async (t) => {
    const { processes } = await serve(t, ['-c', 'kill -SYS $$'], false, '/bin/sh');
    await assert.rejects(processes.failed, { code: 'network-failed', message: /^netwall, .* failed: SIGSYS$/ });
  });

  for (const [how, args, open] of [
    ['behind netwall', WALL, false],
    ['in place of netwall', OPEN, true],
  ] as const) {
    it(`is passt, ${how}, if it ends`, async (t) => {
      const { processes } = await serve(t, [...args, '/bin/sh', '-c', 'echo why >&2; echo more >&2; exit 1'], open);
      await assert.rejects(processes.failed, {
        code: 'network-failed',
        message: 'passt, which serves the user networking, ended: why; more',
        remedy: /^see docs\/network\.md for what it needs/,
      });
    });

    it(`is passt, ${how}, if it cannot be executed`, async (t) => {
      const { processes } = await serve(t, [...args, '/nonexistent/passt'], open);
      await assert.rejects(processes.failed, {
        message: 'passt, which serves the user networking, ended: /nonexistent/passt: No such file or directory',
      });
    });
  }

  it('is passt, if a signal ends it in place of netwall', async (t) => {
    const { processes } = await serve(t, [...OPEN, '/bin/sh', '-c', 'kill -SEGV $$'], true);
    await assert.rejects(processes.failed, { message: /^passt, .* ended: SIGSEGV$/ });
  });

  it('is nothing, if QEMU ends', async (t) => {
    const { processes, qemu } = await serve(t, [...WALL, '/bin/sh', '-c', 'cat <&3 >/dev/null']);
    qemu.end();
    await processes.end();
    assert.equal(await Promise.race([processes.failed, Promise.resolve('nothing')]), 'nothing');
  });
});
