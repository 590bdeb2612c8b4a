/** A service in a machine where the disk with its image gets full. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { sha256 } from '../../src/image/manifest.js';
import { isImageInUse } from '../../src/sandbox/devices/overlay-image.js';
import { embedded } from '../helpers/connections.js';
import { FullDisk } from '../helpers/full-disk.js';
import { itRunsWithoutRoomForItsLog } from '../helpers/full-log.js';
import { unlessProgram } from '../helpers/images.js';
import { assertNothingLeft, exceptLogs } from '../helpers/leftovers.js';
import { removeServices } from '../helpers/making-services.js';
import { holdsDuring } from '../helpers/meanwhile.js';
import { makeRoot, unlessBusybox } from '../helpers/roots.js';
import { SERVICE_PROGRAM, startSandbox } from '../helpers/run.js';
import { scratchDirectory, unlessRoot, WITH_ATTRIBUTES } from '../helpers/scratch.js';
import { SERVICES, serviceOf } from '../helpers/services.js';

const skip = embedded.skip || unlessRoot('mounts') || unlessProgram('qemu-img', 'mke2fs') || unlessBusybox;
const ROOT_DIRECTORIES = ['dev', 'proc', 'sys', 'run', 'tmp', 'root', 'var'];

/** Its first block has room then, and its journal has none: nothing else says so. */
const SOME = 96 << 10;

/** More than an image has to spare. */
const NEW = Buffer.alloc(8 << 20, 'new');

describe('a service in a machine, with its image on a full disk', { skip }, () => {
  const made = async (t: TestContext) => {
    const root = makeRoot(t, 'etc/keys', ...ROOT_DIRECTORIES);
    const key = join(root, 'etc/keys/key');
    writeFileSync(key, 'old', { mode: 0o600 });
    chmodSync(join(root, 'etc/keys'), 0o700);
    const disk = new FullDisk(t, 'size=96M');
    const options = ['-i', '200', '-p', disk.path, '-r', root, '--copy-path', '/etc/keys'];
    const service = await serviceOf(t, embedded, { options, script: 'exec busybox sleep 1000', isKept: true });
    const nothingLeft = () =>
      assertNothingLeft(service.name, { ...exceptLogs(embedded.where), state: '/run/libvirt-sandbox' });
    return { disk, service, key, nothingLeft };
  };

  it('is not upgraded to what cannot be written, and is when there is room', async (t) => {
    const { disk, service, key, nothingLeft } = await made(t);
    writeFileSync(key, NEW, { mode: 0o600 });
    disk.fill();
    const error = await service.fails(['upgrade'], /cannot be written to the image of the service: .*; see whether/);
    assert.match(error, /"\/etc\/keys\/key"/);
    await nothingLeft();
    await service.ok(['start']);
    assert.equal(await service.inside('cat /etc/keys/key'), 'old');
    await service.ok(['stop']);
    disk.makeRoom();
    await service.ok(['upgrade']);
    await service.ok(['start']);
    assert.equal(await service.inside('busybox sha256sum < /etc/keys/key'), `${sha256(NEW)}  -\n`);
  });

  it('runs on where it cannot write, has an error there, and writes when there is room', async (t) => {
    const { disk, service } = await made(t);
    await service.ok(['start']);
    disk.fill();
    const much = 'busybox dd if=/dev/zero of=/var/much bs=1M count=16 conv=fsync';
    assert.match(await service.inside(`${much} 2>&1 || echo failed`), /Input\/output error\nfailed\n$/);
    assert.equal(await service.inside('echo well'), 'well\n');
    disk.makeRoom();
    await service.ok(['restart']);
    assert.match(await service.inside(`${much} 2>&1 && echo written`), /written\n$/);
  });
});

describe('a clone of a service in a machine, on a full disk', { skip }, () => {
  it('leaves nothing, be there no room for the image, or none for what is changed in it', async (t) => {
    const root = makeRoot(t, 'etc', ...ROOT_DIRECTORIES);
    writeFileSync(join(root, 'etc/machine-id'), `${'7'.repeat(32)}\n`, { mode: 0o600 });
    const disk = new FullDisk(t, 'size=8M');
    const options = ['-i', '200', '-r', root, '-p', scratchDirectory(t, WITH_ATTRIBUTES)];
    const copied = [...options, '--copy-path', '/etc/machine-id'];
    const service = await serviceOf(t, embedded, { options: copied, script: 'exec busybox sleep 1000', isKept: true });
    const clone = `${service.name}-2`;
    t.after(() => removeServices([clone]));
    const cloning = () => startSandbox(['clone', '-p', disk.path, service.name, clone], { program: SERVICE_PROGRAM });
    const drafts = () => readdirSync(disk.path).filter((name) => name.startsWith('.'));
    disk.fill();
    const uncopied = await cloning().result;
    disk.makeRoom();
    const running = cloning();
    await holdsDuring(running.result, () => drafts().some((name) => isImageInUse(join(disk.path, name))));
    disk.fill(SOME);
    const unchanged = await running.result;
    disk.makeRoom();
    assert.match(uncopied.stderr, /cannot be copied: .*No space left on device; make room there/);
    assert.match(unchanged.stderr, /cannot be written to the image of the service: .*; see whether .* is full/);
    assert.deepEqual([uncopied.code, unchanged.code], [125, 125]);
    assert.deepEqual(readdirSync(disk.path), []);
    assert.equal(existsSync(join(SERVICES, clone)), false);
  });
});

describe('a service in a machine, with its log on a full disk', { skip: embedded.skip || unlessRoot('mounts') }, () => {
  itRunsWithoutRoomForItsLog(embedded);
});
