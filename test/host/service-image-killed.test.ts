/**
 * A state in an image is cloned, imported and upgraded by programs that are killed at steps that change the disk, or
 * whose machine is: by what holds it, or itself.
 */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { withImageFiles } from '../../src/service/clone/image-files.js';
import { loadService } from '../../src/service/file.js';
import { SandboxError } from '../../src/util/errors.js';
import { embedded } from '../helpers/connections.js';
import { unlessProgram } from '../helpers/images.js';
import { type Calls, ID, KilledImages } from '../helpers/killed-images.js';
import { assertMadeAfter, isKilled, unlessTraced } from '../helpers/killing.js';
import { unlessBusybox } from '../helpers/roots.js';
import { unlessRoot } from '../helpers/scratch.js';
import { bakeSnapshot, privateStore } from '../helpers/snapshots.js';

const skip =
  embedded.skip ||
  unlessRoot('copies files') ||
  unlessTraced() ||
  unlessBusybox ||
  unlessProgram('qemu-img', 'mke2fs', 'e2fsck', 'debugfs');

describe('a state in an image', { skip }, () => {
  const { env, remove } = privateStore();
  // Each step starts two machines, which need not boot.
  before(() => bakeSnapshot(['-c', embedded.uri, '--slots', 'disks=1'], { env }, ['--overlay']));
  after(remove);

  /** Another service is made by a command that is killed, again and again; at last it runs. */
  async function assertMade(
    t: TestContext,
    calls: Calls,
    commandOf: (images: KilledImages, other: string) => Promise<readonly string[]>,
  ): Promise<void> {
    const images = await KilledImages.make(t, env);
    const { service } = images;
    const other = `${service.name}-2`;
    const command = await commandOf(images, other);
    const making = images.making(other, command);
    for await (const { what, ended } of images.kills(command, calls, () => images.draft()))
      await assertMadeAfter(making, what, ended);
    await service.out(...command);
    await service.out('start', other);
    const look = ['busybox', 'cat', '/etc/machine-id', '/srv/data'];
    assert.match(await service.out('execute', other, '--', ...look), /^(?!1{32})[0-9a-f]{32}\nof web\n$/);
    await service.out('stop', other);
  }

  it('is cloned by the next call, and none is half cloned', async (t) => {
    const calls = { own: ['rename', 'fsync'], others: ['copy_file_range', 'pwrite64', 'fdatasync'] };
    await assertMade(t, calls, async ({ service: { name } }, other) => ['clone', name, other]);
  });

  it('is imported by the next call, and none is half imported', async (t) => {
    const calls = { own: ['pwrite64', 'fdatasync', 'rename', 'fsync'], others: ['pwritev'] };
    await assertMade(t, calls, async ({ service: { name, states, out } }, other) => {
      const archive = join(states, 'web.tar');
      await out('export', '-o', archive, name);
      return ['import', '--trust', '-p', states, archive, other];
    });
  });

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

  it('is upgraded by the next call, and loses nothing', async (t) => {
    const images = await KilledImages.make(t, env);
    const { service, image } = images;
    const { name, out, roots } = service;
    const entries = () => readdirSync(join(roots.services, name)).sort();
    const before = entries();
    const calls = {
      own: ['mkdir', 'fchmod', 'unlink', 'rmdir', 'fsync'],
      others: ['pwrite64', 'fdatasync'],
    };
    let turn = 1;
    images.setKey(`key ${turn}\n`);
    for await (const { what, ended } of images.kills(['upgrade', name], calls, () => image)) {
      const text = `${what}: ${ended.stderr}`;
      isKilled(ended);
      assert.ok(await images.isThere(name), text);
      await out('upgrade', name);
      const file = (path: string) => images.file(image, path);
      assert.equal(file('/upper/etc/keys/key'), `key ${turn}\n`, text);
      assert.deepEqual([file('/upper/srv/data'), file('/upper/etc/machine-id')], ['of web\n', ID], text);
      await images.assertNoMachine();
      assert.deepEqual([images.left(), entries()], [[], before], text);
      turn += 1;
      images.setKey(`key ${turn}\n`);
    }
    await out('upgrade', name);
    await out('start', name);
    const look = ['busybox', 'cat', '/etc/keys/key', '/srv/data'];
    assert.equal(await out('execute', name, '--', ...look), `key ${turn}\nof web\n`);
    await out('stop', name);
  });
});
