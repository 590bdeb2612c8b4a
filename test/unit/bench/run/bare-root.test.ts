/** The command line of a bare QEMU whose root is served over virtiofs, and whose memory is filled. */
import assert from 'node:assert/strict';
import { lstatSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { withMemory } from '../../../../src/bench/run/bare-memory.js';
import { rootOf, withRoot } from '../../../../src/bench/run/bare-root.js';
import { bareMachine } from '../../../../src/bench/run/qemu-argv.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

const device = (tag: string, chardev: string) => [
  ...['-chardev', `socket,id=${chardev},path=/gone/${chardev}`],
  ...['-device', JSON.stringify({ driver: 'vhost-user-fs-pci', chardev, tag })],
];
const ROOT = device('sandbox:rootfs', 'chr-vu-fs0');
const MOUNT = device('sandbox:virtiofs0', 'chr-vu-fs1');
const CONSOLE = ['-chardev', 'socket,id=charserial0,path=/c'];

describe('a root over virtiofs', () => {
  it('is served behind root-view, and other shares are left out', (t) => {
    const directory = scratchDirectory(t);
    const { command } = withRoot(['/qemu', ...ROOT, ...MOUNT, ...CONSOLE], directory);
    const at = command.indexOf('/qemu');
    const words = command.slice(0, at);
    assert.match(words[0] ?? '', /\/root-view$/);
    const server = words.indexOf('--serve');
    assert.deepEqual(words.slice(server + 1, server + 3), [join(directory, 'root-server'), join(directory, 'rootfs')]);
    assert.deepEqual(words.slice(-2), [join(directory, 'root'), '/']);
    const reached = `socket,id=chr-vu-fs0,path=${join(directory, 'rootfs')}`;
    assert.deepEqual(command.slice(at), ['/qemu', '-chardev', reached, ...ROOT.slice(2), ...CONSOLE]);
    const link = lstatSync(join(directory, 'root-server'));
    assert.ok(link.isSymbolicLink());
    assert.notEqual(link.uid, 0);
  });

  it('is what the guest mounts', () => {
    assert.deepEqual(rootOf(['/qemu', ...MOUNT, ...ROOT]), { type: 'virtiofs', tag: 'sandbox:rootfs', readOnly: true });
    assert.deepEqual(rootOf(['/qemu', ...MOUNT]), { type: '9p', tag: 'sandbox:root', readOnly: true });
  });

  it('keeps its socket in a machine whose others lead nowhere', () => {
    const bare = bareMachine(['/qemu', '-initrd', '/i', ...ROOT, ...CONSOLE], '/mine');
    assert.deepEqual(bare, ['/qemu', '-initrd', '/mine', ...ROOT, '-chardev', 'null,id=charserial0']);
  });
});

describe('a root over 9p', () => {
  it('has no server', (t) => {
    const directory = scratchDirectory(t);
    assert.deepEqual(withRoot(['/qemu', ...MOUNT, ...CONSOLE], directory).command, ['/qemu', ...CONSOLE]);
    assert.equal(readlinkSync(join(directory, 'root')), '/');
  });
});

describe('the memory of a machine that is restored', () => {
  const object = (value: Record<string, unknown>) => ['-object', JSON.stringify(value)];
  const libvirts = object({ 'qom-type': 'memory-backend-file', id: 'pc.ram', 'mem-path': '/gone' });
  const copied = object({ 'qom-type': 'memory-backend-memfd', share: true, id: 'warm-memory' });
  const mapped = object({ 'qom-type': 'memory-backend-file', 'mem-path': '/m', id: 'warm-memory' });
  const NAME = ['-name', 'guest=a,,b,debug-threads=on'];

  it('has to be filled where it is a copy, by who knows its process', () => {
    const { argv, sharing } = withMemory(['/qemu', ...NAME, ...libvirts, ...copied], '/d');
    assert.deepEqual(argv, ['/qemu', ...NAME, ...copied, '-pidfile', '/d/qemu.pid']);
    assert.equal(sharing?.name, 'a,b');
  });

  it('is the file of the snapshot elsewhere', () => {
    const { argv, sharing } = withMemory(['/qemu', ...NAME, ...libvirts, ...mapped], '/d');
    assert.deepEqual([argv, sharing], [['/qemu', ...NAME, ...mapped], undefined]);
  });

  it("is libvirt's where there is no snapshot", () => {
    const { argv, sharing } = withMemory(['/qemu', ...NAME, ...libvirts], '/d');
    assert.deepEqual([argv, sharing], [['/qemu', ...NAME, ...libvirts], undefined]);
  });
});
