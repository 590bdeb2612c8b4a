/** A state in an image is upgraded by programs that are killed, as service-image-clone-killed has it of clones. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { embedded } from '../helpers/connections.js';
import { ID, KilledImages, unlessImagesKilled } from '../helpers/killed-images.js';
import { isKilled } from '../helpers/killing.js';
import { bakeSnapshot, privateStore } from '../helpers/snapshots.js';

describe('a state in an image', { skip: unlessImagesKilled }, () => {
  const { env, remove } = privateStore();
  // Each step starts two machines, which need not boot.
  before(() => bakeSnapshot(['-c', embedded.uri, '--slots', 'disks=1'], { env }, ['--overlay']));
  after(remove);

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
    for await (const { what, ended } of images.programs.kills(['upgrade', name], calls, () => image)) {
      const text = `${what}: ${ended.stderr}`;
      isKilled(ended);
      assert.ok(await images.isThere(name), text);
      await out('upgrade', name);
      const file = (path: string) => images.file(image, path);
      assert.equal(file('/upper/etc/keys/key'), `key ${turn}\n`, text);
      assert.deepEqual([file('/upper/srv/data'), file('/upper/etc/machine-id')], ['of web\n', ID], text);
      await images.programs.assertNoMachine();
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
