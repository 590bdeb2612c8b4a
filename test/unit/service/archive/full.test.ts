/** Archives that are written to, and unpacked on, a disk that is full: nothing of them is left. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { makeOverlayDirectory } from '../../../../src/sandbox/devices/overlay-directory.js';
import { writeArchiveFile } from '../../../../src/service/archive/output.js';
import { serviceNames } from '../../../../src/service/list.js';
import type { ServiceRoots } from '../../../../src/service/paths.js';
import { SandboxError } from '../../../../src/util/errors.js';
import { exported, imported } from '../../../helpers/archiving.js';
import { FullDisk } from '../../../helpers/full-disk.js';
import { archiveOf, ground, inUpper, withImage } from '../../../helpers/hostile-archives.js';
import { makeTestService, servicesIn } from '../../../helpers/making-services.js';
import { scratchDirectory, unlessRoot, WITH_ATTRIBUTES } from '../../../helpers/scratch.js';

const PAGE = 4096;

const failure = (codes: readonly string[], path: string, limit: string) => (error: unknown) => {
  assert.ok(error instanceof SandboxError, `${limit}: ${error}`);
  assert.ok(codes.includes(error.code), `${limit}: ${error.code}: ${error.message}`);
  assert.match(error.message, /no space left|ENOSPC/i, limit);
  assert.ok(error.message.includes(path), `${limit}: ${error.message}`);
  assert.match(error.remedy, /make room/, limit);
  return true;
};

/** Services whose own files, or states, are on a disk. */
function placesOn(t: TestContext, where: 'services' | 'directories', limit: string): ServiceRoots {
  return { ...servicesIn(scratchDirectory(t, WITH_ATTRIBUTES)), [where]: new FullDisk(t, limit).path };
}

const CODES = ['service-archive-not-unpacked', 'service-not-writable', 'config-not-writable'];

describe('an import on a full disk', { skip: unlessRoot('mounts') }, () => {
  for (const where of ['services', 'directories'] as const)
    it(`says so, and leaves nothing: ${where}`, async (t) => {
      const { config } = await ground(t);
      const content = 'x'.repeat(PAGE);
      const id = { name: 'layers/upper/etc/machine-id', content: `${'1'.repeat(32)}\n` };
      const files = Array.from({ length: 8 }, (_, number) => ({ name: `layers/upper/${number}`, content }));
      const archive = archiveOf(config, { members: inUpper({ name: 'layers/upper/etc/', flag: '5' }, id, ...files) });
      const steps = [1, 2, 3, 4, 6, 8, 9];
      const limits = [
        ...steps.map((pages) => `size=${pages * PAGE}`),
        ...steps.map((inodes) => `nr_inodes=${inodes + 1}`),
      ];
      let failures = 0;
      for (const limit of limits) {
        const roots = placesOn(t, where, limit);
        // The files of the service itself are few.
        const isDone = await imported(roots, 'web', archive, { mayFill: true }).then(
          () => true,
          (error: unknown) => !failure(CODES, roots[where], limit)(error),
        );
        if (isDone) continue;
        failures += 1;
        for (const path of [roots.services, roots.directories, roots.images])
          assert.deepEqual(
            readdirSync(path).filter((name) => name !== '.ports'),
            [],
            limit,
          );
      }
      assert.ok(failures > 4, `${failures} failures`);
      const roots = placesOn(t, where, `size=${400 * PAGE}`);
      await imported(roots, 'web', archive, { mayFill: true });
      assert.deepEqual(serviceNames(roots), ['web']);
    });

  it('says so of an image, and leaves nothing', async (t) => {
    const [, archive] = await withImage(t, (path) => writeFileSync(path, Buffer.alloc(40 * PAGE, 'x')));
    const roots = servicesIn(scratchDirectory(t, WITH_ATTRIBUTES));
    const { path } = new FullDisk(t, `size=${20 * PAGE}`);
    const importing = imported(roots, 'web', archive, { path, mayFill: true });
    await assert.rejects(importing, failure(['service-archive-not-unpacked'], path, 'image'));
    for (const left of [path, roots.services]) assert.deepEqual(readdirSync(left), []);
  });
});

describe('an export to a full disk', { skip: unlessRoot('mounts') }, () => {
  it('says so, leaves the file that was there, and nothing else', async (t) => {
    const roots = servicesIn(scratchDirectory(t, WITH_ATTRIBUTES));
    const { config } = await makeTestService(roots, 'web');
    const state = join(roots.directories, 'web');
    makeOverlayDirectory(state, config, { mode: 0o755, uid: 0, gid: 0 });
    mkdirSync(join(state, 'layers/upper/d'));
    writeFileSync(join(state, 'layers/upper/d/data'), Buffer.alloc(20 * PAGE, 'x'));
    const disk = new FullDisk(t, `size=${64 * PAGE}`);
    const path = join(disk.path, 'web.tar');
    writeFileSync(path, 'old');
    disk.fill();
    const all = await exported(roots, 'web');
    const writes = () => writeArchiveFile(path, (write) => write(all));
    await assert.rejects(writes(), failure(['service-archive-not-written'], path, 'export'));
    assert.equal(readFileSync(path, 'utf8'), 'old');
    assert.deepEqual(readdirSync(disk.path).sort(), ['filler', 'web.tar']);
    disk.makeRoom();
    await writes();
    assert.ok(readFileSync(path).equals(all));
  });
});
