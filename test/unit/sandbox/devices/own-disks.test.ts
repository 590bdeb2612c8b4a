/** Which disks a QEMU may have as a user of its own, and where it finds them. */
import assert from 'node:assert/strict';
import { symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { DiskDevice } from '../../../../src/domain/disks.js';
import type { Element } from '../../../../src/domain/xml.js';
import { ownDisks, reasonAgainst, refuseFurtherFiles } from '../../../../src/sandbox/devices/own-disks.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

const diskOf = (source: string, format = 'raw', readOnly = false): DiskDevice => ({
  ...{ serial: 'disk0', isBlock: false },
  ...{ source, format, readOnly },
});

/** The labels of a machine where the host has neither SELinux nor AppArmor. */
const DAC: readonly Element[] = [{ '@model': 'dac' }];

/** The header of a qcow2 image. */
function qcow2(t: TestContext, { version = 3, backing = 0n, features = 0n }): DiskDevice {
  const header = Buffer.alloc(512);
  header.write('/etc/shadow', Number(backing), 'latin1');
  header.writeUInt32BE(0x514649fb, 0);
  header.writeUInt32BE(version, 4);
  header.writeBigUInt64BE(backing, 8);
  header.writeUInt32BE(backing === 0n ? 0 : '/etc/shadow'.length, 16);
  header.writeBigUInt64BE(features, 72);
  const path = join(scratchDirectory(t), 'a.qcow2');
  writeFileSync(path, header);
  return diskOf(path, 'qcow2');
}

describe('a disk of a QEMU with a user of its own', () => {
  it('may be a raw file, also behind a link, or an image without further files', (t) => {
    const directory = scratchDirectory(t);
    const [file, link] = [join(directory, 'a'), join(directory, 'b')];
    writeFileSync(file, '');
    symlinkSync(file, link);
    // Dirty: the first of the features. Version 2 has none, so what is there means nothing.
    const images = [qcow2(t, { features: 1n }), qcow2(t, { version: 2, features: 4n })];
    assert.equal(reasonAgainst([diskOf(file), diskOf(link), ...images, diskOf(file, 'vdi')], DAC), undefined);
  });

  it('is no device, no missing file, and nothing that may have further files', (t) => {
    const file = join(scratchDirectory(t), 'a.qcow2');
    writeFileSync(file, 'short');
    const refused: readonly (readonly [DiskDevice, RegExp])[] = [
      [diskOf('/dev/null'), /^\/dev\/null is no regular file$/],
      [diskOf('/missing'), /^\/missing is no regular file$/],
      [diskOf('/etc/passwd', 'vmdk'), /^\/etc\/passwd may have other files, as any image of the format vmdk$/],
      [diskOf(file, 'qcow2'), /may have other files: it has no header of qcow2$/],
      [qcow2(t, { backing: 104n }), /a\.qcow2 may have the backing file "\/etc\/shadow"$/],
      [qcow2(t, { version: 2, backing: 104n }), /the backing file "\/etc\/shadow"$/],
      [qcow2(t, { features: 5n }), /the data file that its header names$/],
    ];
    for (const [disk, pattern] of refused)
      assert.match(reasonAgainst([diskOf('/etc/passwd'), disk], DAC) ?? '', pattern);
  });

  it("is libvirt's to give away where a label keeps machines apart", () => {
    for (const model of ['selinux', 'apparmor'])
      assert.equal(
        reasonAgainst([diskOf('/etc/passwd')], [...DAC, { '@model': model }]),
        `${model} labels each machine and its disks`,
      );
  });

  it('names no other file of the host', (t) => {
    const qed = Buffer.alloc(512);
    qed.write('QED\0', 0, 'latin1');
    qed.writeBigUInt64LE(1n, 16);
    const image = (name: string, content: string | Buffer) => {
      const path = join(scratchDirectory(t), name);
      writeFileSync(path, content);
      return diskOf(path, name);
    };
    const descriptor = '# Disk DescriptorFile\nversion=1\n'.padEnd(600);
    const qcow = Buffer.from(qed);
    qcow.writeBigUInt64BE(48n, 8);
    const named: readonly (readonly [DiskDevice, RegExp])[] = [
      [
        qcow2(t, { backing: 104n }),
        /^the disk \/.*a\.qcow2 has the backing file "\/etc\/shadow", which libvirt would give/,
      ],
      [qcow2(t, { features: 4n }), /has the data file that its header names/],
      [image('qed', qed), /has another file/],
      [image('qcow', qcow), /has another file/],
      // Its whole header is shorter than that of the others.
      [image('qcow', qcow.subarray(0, 61)), /has another file/],
      [image('vmdk', `${descriptor}parentFileNameHint="/etc/shadow"\n`), /has another file/],
    ];
    for (const [disk, message] of named)
      assert.throws(() => refuseFurtherFiles([disk], 'machine'), { code: 'disk-names-file', message });
    // Raw: what is in it means nothing.
    const fine = [{ ...qcow2(t, { backing: 104n }), format: 'raw' }, qcow2(t, {}), image('vmdk', descriptor)];
    refuseFurtherFiles([...fine, diskOf('/missing', 'qcow2')], 'machine');
    // Root opens what a container has.
    refuseFurtherFiles([qcow2(t, {}), diskOf('/etc/passwd')], 'container');
    for (const disk of [image('vmdk', descriptor), qcow2(t, { backing: 104n })])
      assert.throws(() => refuseFurtherFiles([disk], 'container'), { code: 'disk-names-file' });
  });

  it('is where root-view makes it, and cannot be written to if it is read-only', () => {
    const disks = [diskOf('/a'), diskOf('/b', 'raw', true)];
    const { disks: found, sources, words } = ownDisks(disks, '/p', 7);
    assert.deepEqual(
      found.map(({ source }) => source),
      ['/p/disks/disk.0', '/p/disks/disk.1'],
    );
    assert.equal(sources.get('/p/disks/disk.1'), '/b');
    assert.deepEqual(words, ['--owner', '7', '--disk', '/a', '--disk-ro', '/b']);
  });
});
