/** What QEMU does for a disk: errors of a full host, discards, and flushes. */

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { embedded, system } from '../helpers/connections.js';
import { imageFile, loopDevice, unlessProgram } from '../helpers/images.js';
import { ask } from '../helpers/inside.js';
import { assertNothingLeft, uniqueName } from '../helpers/leftovers.js';
import { assertRun, runSandbox } from '../helpers/run.js';
import { freshDirectory, scratchDirectory } from '../helpers/scratch.js';

const MIB = 1 << 20;
const DEVICE = '/dev/disk/by-tag/a';

type Format = 'raw' | 'qcow2';

function makeDisk(directory: string, format: Format, size = 200 * MIB): string {
  const path = join(directory, `disk.${format}`);
  if (format === 'qcow2') {
    execFileSync('qemu-img', ['create', '-q', '-f', format, path, String(size)]);
  } else {
    writeFileSync(path, '');
    truncateSync(path, size);
  }
  return path;
}

/** A file of the ext4 file system on the disk, as the next mount would find it: with what is in the journal. */
function fileOf(disk: string, format: Format, path: string): string {
  if (format === 'qcow2') execFileSync('qemu-img', ['check', '-q', disk]);
  const plain = `${disk}.plain`;
  execFileSync('qemu-img', ['convert', '-f', format, '-O', 'raw', disk, plain]);
  const { status, stdout } = spawnSync('e2fsck', ['-fy', plain], { encoding: 'utf8' });
  // Bits 0 and 1: errors were corrected. https://man7.org/linux/man-pages/man8/e2fsck.8.html
  assert.ok(status !== null && status <= 3, stdout);
  return imageFile(plain, path);
}

/** What is said, once, of a disk that finds the host full. */
function warningOf(disk: string): RegExp {
  const path = disk.replaceAll('.', '\\.');
  return new RegExp(
    `^virt-sandbox: warning: the host has no space left for the disk ${path}: writes fail inside, .*\\n$`,
  );
}

/** A file system of this size, so that the host can be full. */
function smallHost(t: TestContext, size: string): string {
  const directory = freshDirectory();
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size},mode=755`, 'none', directory]);
  t.after(() => {
    // Lazily: a QEMU that has not ended yet must not keep what follows from being removed.
    execFileSync('umount', ['-l', directory]);
    rmSync(directory, { recursive: true });
  });
  return directory;
}

describe('a disk', { skip: embedded.skip || unlessProgram('qemu-img', 'mkfs.ext4', 'debugfs', 'e2fsck') }, () => {
  for (const [format, way, boot] of [
    ['raw', embedded, 'cold'],
    ['qcow2', system, 'auto'],
  ] as const) {
    it(`that finds the host full fails inside, and keeps what was synced: ${format} over ${way.uri}`, {
      skip: way.skip,
    }, async (t) => {
      const name = uniqueName();
      const host = smallHost(t, '40m');
      const disk = makeDisk(host, format);
      // Of two disks, QEMU has to say which.
      const other = format === 'qcow2' ? ['--disk', `file:b=${makeDisk(scratchDirectory(t), 'raw', MIB)},ro`] : [];
      const args = ['-c', way.uri, '-n', name, '--boot', boot, '-p', '--disk', `file:a=${disk}`, ...other];
      const found = await ask(
        args,
        {
          fill: `mkfs.ext4 -q ${DEVICE} && mount ${DEVICE} /mnt && echo precious > /mnt/kept && sync /mnt/kept && dd if=/dev/urandom of=/mnt/big bs=1M count=100 conv=fsync`,
          after: 'cat /mnt/kept',
        },
        { stderr: warningOf(disk) },
      );
      assert.match(found.fill, /fsync failed .*Input\/output error|Read-only file system|error writing/);
      assert.equal(found.after, 'precious');
      await assertNothingLeft(name, way.where);
      // With room to see what is in the image.
      execFileSync('mount', ['-o', 'remount,size=400m', host]);
      assert.equal(fileOf(disk, format, 'kept'), 'precious\n');
    });
  }

  it('of a program that does not sync, only the warning says that the host was full', async (t) => {
    const disk = makeDisk(smallHost(t, '16m'), 'raw');
    const script = `head -c ${48 * MIB} /dev/urandom > ${DEVICE}`;
    const result = await runSandbox(['-c', embedded.uri, '--disk', `file:a=${disk}`, '--', 'sh', '-ec', script]);
    assert.match(result.stderr, warningOf(disk));
    assertRun(result, 0, '', result.stderr);
  });

  for (const format of ['raw', 'qcow2'] as const) {
    it(`gives the host the space that the guest trims: ${format}`, async (t) => {
      const disk = makeDisk(scratchDirectory(t), format);
      const run = async (boot: string, script: string) => {
        const args = ['-c', embedded.uri, '--boot', boot, '-p', '--disk', `file:a=${disk}`, '--', 'sh', '-ec', script];
        assertRun(await runSandbox(args), 0, '');
        return statSync(disk).blocks * 512;
      };
      const full = await run(
        'cold',
        `mkfs.ext4 -q ${DEVICE}; mount ${DEVICE} /mnt; head -c ${64 * MIB} /dev/urandom > /mnt/big; echo kept > /mnt/kept`,
      );
      assert.ok(full >= 64 * MIB, `${full} bytes`);
      const trimmed = await run('auto', `mount ${DEVICE} /mnt; rm /mnt/big; sync; fstrim /mnt`);
      assert.ok(trimmed <= full - 60 * MIB, `${trimmed} of ${full} bytes`);
      assert.equal(fileOf(disk, format, 'kept'), 'kept\n');
    });
  }

  it('is flushed on the host each time that the guest asks for it, and at the end', async (t) => {
    const device = loopDevice(t, makeDisk(scratchDirectory(t), 'raw', 8 * MIB));
    if (device === undefined) {
      t.skip('the host has no loop device to spare');
      return;
    }
    const stat = `/sys/block/${basename(device)}/stat`;
    /** https://docs.kernel.org/block/stat.html */
    const flushes = () => Number(readFileSync(stat, 'utf8').trim().split(/\s+/)[15]);
    const flushedBy = async (script: string) => {
      const before = flushes();
      const args = ['-c', embedded.uri, '--disk', `block:a=${device}`, '--', 'sh', '-ec', script];
      assertRun(await runSandbox(args), 0, '');
      return flushes() - before;
    };
    const write = `dd of=${DEVICE} bs=4096 seek=$n status=none`;
    const often = await flushedBy(`for n in 1 2 3 4 5 6 7 8 9; do printf $n | ${write} conv=fsync; done`);
    assert.ok(often >= 9, `${often} flushes`);
    const atTheEnd = await flushedBy(`n=10; printf $n | ${write}`);
    assert.ok(atTheEnd >= 1, 'what was not synced is flushed at the end');
  });
});
