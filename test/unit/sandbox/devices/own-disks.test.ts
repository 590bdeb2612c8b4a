/** Which disks a QEMU may have as a user of its own, and where it finds them. */
import assert from 'node:assert/strict';
import { symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { DiskDevice } from '../../../../src/domain/disks.js';
import { ownDisks, reasonAgainst } from '../../../../src/sandbox/devices/own-disks.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

const diskOf = (source: string, format = 'raw', readOnly = false): DiskDevice => ({
  ...{ serial: 'disk0', isBlock: false },
  ...{ source, format, readOnly },
});

/** The header of a qcow2 image. */
function qcow2(t: TestContext, { version = 3, backing = 0n, features = 0n }): DiskDevice {
  const header = Buffer.alloc(512);
  header.writeUInt32BE(0x514649fb, 0);
  header.writeUInt32BE(version, 4);
  header.writeBigUInt64BE(backing, 8);
  header.writeBigUInt64BE(features, 72);
  const path = join(scratchDirectory(t), 'a.qcow2');
  writeFileSync(path, header);
  return diskOf(path, 'qcow2');
}

describe('a disk of a QEMU with a user of its own', () => {
  it('may be a raw file, also behind a link, or a qcow2 image without further files', async (t) => {
    const directory = scratchDirectory(t);
    const [file, link] = [join(directory, 'a'), join(directory, 'b')];
    writeFileSync(file, '');
    symlinkSync(file, link);
    // Dirty: the first of the features. Version 2 has none, so what is there means nothing.
    const images = [qcow2(t, { features: 1n }), qcow2(t, { version: 2, features: 4n })];
    assert.equal(await reasonAgainst([diskOf(file), diskOf(link), ...images]), undefined);
  });

  it('is left to QEMU where it is not of its format', async (t) => {
    const file = join(scratchDirectory(t), 'a.qcow2');
    writeFileSync(file, 'short');
    assert.equal(await reasonAgainst([diskOf(file, 'qcow2')]), undefined);
  });

  it('is no device, no missing file, and nothing that names further files', async (t) => {
    const refused: readonly (readonly [DiskDevice, RegExp])[] = [
      [diskOf('/dev/null'), /^\/dev\/null is no regular file$/],
      [diskOf('/missing'), /ENOENT.*'\/missing'/],
      [diskOf('/etc/passwd', 'vmdk'), /^\/etc\/passwd is of the format vmdk/],
      [qcow2(t, { backing: 104n }), /a\.qcow2 has a backing file, or its data in another file$/],
      [qcow2(t, { version: 2, backing: 104n }), /has a backing file/],
      [qcow2(t, { features: 5n }), /its data in another file/],
    ];
    for (const [disk, pattern] of refused)
      assert.match((await reasonAgainst([diskOf('/etc/passwd'), disk])) ?? '', pattern);
  });

  it('is where root-view makes it, and cannot be written to if it is read-only', () => {
    const disks = [diskOf('/a'), diskOf('/b', 'raw', true)];
    const { disks: found, sources, words } = ownDisks(disks, { point: '/p', uid: 7, isLabelled: false });
    assert.deepEqual(
      found.map(({ source }) => source),
      ['/p/disks/disk.0', '/p/disks/disk.1'],
    );
    assert.equal(sources.get('/p/disks/disk.1'), '/b');
    assert.deepEqual(words, ['--owner', '7', '--disk', '/a', '--disk-ro', '/b']);
    // libvirt labels it for SELinux.
    const labelled = ownDisks(disks, { point: '/p', uid: 7, isLabelled: true });
    assert.deepEqual(labelled.words, ['--owner', '7', '--disk', '/a', '--disk', '/b']);
  });
});
