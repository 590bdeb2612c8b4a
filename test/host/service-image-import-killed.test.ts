/** A state in an image is imported by programs that are killed, as service-image-clone-killed has it of clones. */
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { embedded } from '../helpers/connections.js';
import { assertMadeOf, unlessImagesKilled } from '../helpers/killed-images.js';
import { bakeSnapshot, privateStore } from '../helpers/snapshots.js';

describe('a state in an image', { skip: unlessImagesKilled }, () => {
  const { env, remove } = privateStore();
  // Each step starts two machines, which need not boot.
  before(() => bakeSnapshot(['-c', embedded.uri, '--slots', 'disks=1'], { env }, ['--overlay']));
  after(remove);

  it('is imported by the next call, and none is half imported', async (t) => {
    const calls = { own: ['pwrite64', 'fdatasync', 'rename', 'fsync'], others: ['pwritev'] };
    await assertMadeOf(t, env, calls, async ({ service: { name, states, out } }, other) => {
      const archive = join(states, 'web.tar');
      await out('export', '-o', archive, name);
      return ['import', '--trust', '-p', states, archive, other];
    });
  });
});
