/** Disks by tag: found, formatted, written to, shared, and refused. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { embedded, system } from '../helpers/connections.js';
import { imageFile, loopDevice, makeImage, unlessProgram } from '../helpers/images.js';
import { ask } from '../helpers/inside.js';
import { assertNothingLeft, uniqueName } from '../helpers/leftovers.js';
import { assertFailure, assertRun, runSandbox, startSandbox } from '../helpers/run.js';
import { scratchDirectory } from '../helpers/scratch.js';

function sparse(directory: string, name: string, size: number): string {
  const path = join(directory, name);
  writeFileSync(path, '');
  truncateSync(path, size);
  return path;
}

for (const way of [embedded, system]) {
  it(`disks are found by tag, formatted, and keep what was written, over ${way.uri}`, {
    skip: way.skip || unlessProgram('qemu-img', 'mkfs.ext4'),
  }, async (context) => {
    const name = uniqueName();
    const directory = scratchDirectory(context);
    const raw = sparse(directory, 'a.img', 24 << 20);
    const packed = join(directory, 'b.qcow2');
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', packed, '24M']);
    const image = makeImage(directory, 'ext4');
    // One machine boots, the other is restored.
    const boot = ['-c', way.uri, '-n', name, '--boot', way === embedded ? 'cold' : 'auto'];
    const args = [...boot, '--disk', `file:with space=${raw}`, '--disk', `file:packed=${packed}`];
    const found = await ask([...args, '-m', `host-image:/media=${image}`, '-p'], {
      links:
        'cd /dev/disk/by-tag && for link in *; do echo "$link: $(cat /sys/block/$(basename $(readlink "$link"))/serial)"; done',
      mode: 'stat -Lc "%a %u %t" /dev/disk/by-tag/packed',
      format:
        'mkfs.ext4 -q "/dev/disk/by-tag/with space" && mount "/dev/disk/by-tag/with space" /mnt && echo kept > /mnt/file',
      // Written to the device itself and not synced: the end of the sandbox flushes it.
      write:
        'printf "straight to the disk" | dd of=/dev/disk/by-tag/packed bs=1M seek=3 conv=notrunc 2>&1 | tail -n 1 | cut -d" " -f1',
      media: 'readlink -f /dev/disk/by-tag/packed; grep /media /proc/mounts | cut -d" " -f1',
    });
    assert.deepEqual(found.links.split('\n'), ['packed: disk1', 'with space: disk0']);
    assert.equal(found.mode, `600 0 fe`);
    assert.equal(found.format, '');
    assert.equal(found.write, '20');
    assert.equal(new Set(found.media.split('\n')).size, 2);
    assert.equal(imageFile(raw, 'file'), 'kept\n');
    const plain = join(directory, 'plain');
    execFileSync('qemu-img', ['convert', '-O', 'raw', packed, plain]);
    const text = execFileSync('dd', [`if=${plain}`, 'bs=1M', 'skip=3', 'count=1'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    assert.equal(text.subarray(0, 20).toString(), 'straight to the disk');
    assert.deepEqual(
      [raw, packed, image].map((path) => statSync(path).uid),
      [0, 0, 0],
    );
    await assertNothingLeft(name, way.where);
  });
}

describe('disks', { skip: embedded.skip, concurrency: 2 }, () => {
  it('give a block device of the host to a user who is not root inside', async (context) => {
    const file = sparse(scratchDirectory(context), 'a.img', 4 << 20);
    const device = loopDevice(context, file);
    if (device === undefined) {
      context.skip('the host has no loop device to spare');
      return;
    }
    const found = await ask(['-c', embedded.uri, '-S', 'nobody', '--disk', `block:whole=${device}`], {
      size: 'blockdev --getsize64 /dev/disk/by-tag/whole || cat /sys/block/vda/size',
      write: 'printf written | dd of=/dev/disk/by-tag/whole conv=fsync 2>/dev/null && head -c 7 /dev/disk/by-tag/whole',
    });
    assert.equal(found.write, 'written');
    assert.match(found.size, /4194304$/);
    assert.equal(execFileSync('head', ['-c', '7', device], { encoding: 'utf8' }), 'written');
  });

  it('are right for all of forty tags', async (context) => {
    const directory = scratchDirectory(context);
    const tags = Array.from({ length: 40 }, (_, index) => `tag${index}`);
    const args = tags.flatMap((tag) => {
      writeFileSync(join(directory, tag), `I am ${tag}.`.padEnd(4096));
      return ['--disk', `file:${tag}=${join(directory, tag)}`];
    });
    const script = `for tag in ${tags.join(' ')}; do head -c 12 /dev/disk/by-tag/$tag | cut -d. -f1; done; ls -d /sys/block/vda?`;
    const result = await runSandbox(['-c', embedded.uri, ...args, '--', 'sh', '-c', script]);
    const lines = result.out.trim().split('\n');
    assert.deepEqual(
      lines.slice(0, 40),
      tags.map((tag) => `I am ${tag}`),
      result.stderr,
    );
    assert.ok(lines.length > 40, 'the names of the kernel go on behind vdz');
  });

  it('share a read-only image between two disks and a mount of one sandbox, and another sandbox', async (context) => {
    const directory = scratchDirectory(context);
    const image = makeImage(directory, 'ext4');
    const args = ['-c', embedded.uri, '-p', '--disk', `file:a=${image},ro`];
    const running = startSandbox([...args, '--', 'sh', '-c', 'echo up; cat'], { input: 'open' });
    await running.until(/up/);
    const found = await ask([...args, '--disk', `file:b=${image},ro`, '-m', `host-image:/mnt=${image},ro`], {
      read: 'cmp /dev/disk/by-tag/a /dev/disk/by-tag/b && cat /sys/block/vd[abc]/ro',
      write: 'echo x > /dev/disk/by-tag/a || echo refused',
    });
    assert.equal(found.read, '1\n1\n1');
    assert.match(found.write, /refused$/);
    running.child.stdin?.end();
    assertRun(await running.result, 0, 'up\n');
  });

  it('refuse an image whose format is not the given one', async (context) => {
    const image = sparse(scratchDirectory(context), 'a.img', 1 << 20);
    const result = await runSandbox(['-c', embedded.uri, '--disk', `file:a=${image},format=qcow2`, '--', 'true']);
    assertFailure(result, /not in qcow2 format/, /format=/);
  });
});
