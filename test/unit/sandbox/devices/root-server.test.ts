import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import type { Share } from '../../../../src/domain/shares.js';
import { aheadServer, serverError, serverWords, startsAhead } from '../../../../src/sandbox/devices/root-server.js';
import { SandboxError } from '../../../../src/util/errors.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

const shareIn = (directory: string): Share => ({
  ...{ tag: 'sandbox:rootfs', directory: '/srv', readOnly: true, transport: 'virtiofs' },
  ...{ program: join(directory, 'root-server'), socket: join(directory, 'rootfs') },
});

const qemuError = (message: string) =>
  new SandboxError({ stage: 'domain', code: 'domain-refused', message, remedy: '' });

it("root-view starts the server where nothing confines QEMU, and no daemon of root's does", () => {
  assert.deepEqual(
    (['embedded', 'session', 'system', 'lxc'] as const).map((kind) => startsAhead(kind, undefined)),
    [true, true, false, false],
  );
  assert.equal(startsAhead('embedded', 'selinux'), false);
});

it('root-view is given the socket by its short path, and the user of QEMU', () => {
  const share = shareIn('/long');
  assert.deepEqual(serverWords(share, '/s', 7), ['--serve', '/long/root-server', '/s/rootfs', '7', 'auto']);
  assert.deepEqual(serverWords({ ...share, socket: undefined }, '/s', 7), []);
  assert.deepEqual(serverWords(undefined, '/s', 7), []);
});

it('what a server says is told only of a start that failed by it', (t) => {
  const directory = scratchDirectory(t);
  const share = shareIn(directory);
  const refused = qemuError(`qemu-wall: ${directory}/rootfs: Connection refused`);
  assert.equal(serverError(share, refused), undefined, 'it has said nothing');
  assert.equal(aheadServer(share)?.pid(), undefined);
  writeFileSync(join(directory, 'root-server.pid'), '4711\n');
  writeFileSync(
    join(directory, 'root-server.log'),
    '[2026-11-28T19:41:12Z INFO  virtiofsd] Waiting\n[2026-11-28T19:36:06Z ERROR virtiofsd] No sandbox\nmore\n',
  );
  assert.equal(aheadServer(share)?.pid(), 4711);
  assert.equal(aheadServer(share)?.lastWords(), 'No sandbox');
  assert.match(serverError(share, refused)?.message ?? '', /^the root cannot be served over virtiofs: No sandbox$/);
  assert.equal(serverError(share, qemuError('qemu-system-x86_64: no such machine')), undefined);
  assert.equal(serverError({ ...share, socket: undefined }, refused), undefined, 'libvirt tells what its server says');
});
