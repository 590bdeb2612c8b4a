/** Programs that work on a state in an image are killed, or their machine is. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { withImageFiles } from '../../src/service/clone/image-files.js';
import { loadService } from '../../src/service/file.js';
import { SandboxError } from '../../src/util/errors.js';
import { embedded } from '../helpers/connections.js';
import { unlessProgram } from '../helpers/images.js';
import { KilledImages } from '../helpers/killed-images.js';
import { unlessBusybox } from '../helpers/roots.js';
import { unlessRoot } from '../helpers/scratch.js';
import { bakeSnapshot, privateStore } from '../helpers/snapshots.js';

const skip =
  embedded.skip ||
  unlessRoot('copies files') ||
  unlessBusybox ||
  unlessProgram('qemu-img', 'mke2fs', 'e2fsck', 'debugfs');

describe('a state in an image', { skip }, () => {
  const { env, remove } = privateStore();
  before(() => bakeSnapshot(['-c', embedded.uri, '--slots', 'disks=1'], { env }, ['--overlay']));
  after(remove);

  it('is given no identity by a machine that ends before all of it is on the disk', async (t) => {
    const images = await KilledImages.make(t, env);
    const { name, roots } = images.service;
    const { config } = await loadService(roots, name);
    const change = withImageFiles(config, images.image, { connect: embedded.uri }, async (files) => {
      await files.replace('/etc/machine-id', 'another\n');
      assert.ok(images.killHolder(process.pid, 'qemu-system'));
    });
    await assert.rejects(change, SandboxError);
    await images.assertNoMachine();
    assert.equal(images.file(images.image, '/upper/srv/data'), 'of web\n');
  });
});
