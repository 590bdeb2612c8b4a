/**
 * A state in an image is cloned by programs that are killed at steps that change the disk, or whose machine is: by what
 * holds it, or itself.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { withImageFiles } from '../../src/service/clone/image-files.js';
import { loadService } from '../../src/service/file.js';
import { SandboxError } from '../../src/util/errors.js';
import { embedded } from '../helpers/connections.js';
import { assertMadeOf, KilledImages, unlessImagesKilled } from '../helpers/killed-images.js';
import { bakeSnapshot, privateStore } from '../helpers/snapshots.js';

describe('a state in an image', { skip: unlessImagesKilled }, () => {
  const { env, remove } = privateStore();
  // Each step starts two machines, which need not boot.
  before(() => bakeSnapshot(['-c', embedded.uri, '--slots', 'disks=1'], { env }, ['--overlay']));
  after(remove);

  it('is cloned by the next call, and none is half cloned', async (t) => {
    const calls = { own: ['rename', 'fsync'], others: ['copy_file_range', 'pwrite64', 'fdatasync'] };
    await assertMadeOf(t, env, calls, async ({ service: { name } }, other) => ['clone', name, other]);
  });

  it('is given no identity by a machine that ends before all of it is on the disk', async (t) => {
    const images = await KilledImages.make(t, env);
    const { name, roots } = images.service;
    const { config } = await loadService(roots, name);
    const change = withImageFiles(config, images.image, { connect: embedded.uri }, async (files) => {
      await files.replace('/etc/machine-id', 'another\n');
      assert.ok(images.programs.killHolder(process.pid, 'qemu-system'));
    });
    await assert.rejects(change, SandboxError);
    await images.programs.assertNoMachine();
    assert.equal(images.file(images.image, '/upper/srv/data'), 'of web\n');
  });
});
