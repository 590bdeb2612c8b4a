/** A service with its state in a disk image is upgraded to another OCI image by programs that are killed. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { ACCEL } from '../helpers/acceleration.js';
import { embedded } from '../helpers/connections.js';
import { KilledPrograms } from '../helpers/killed-image-programs.js';
import { unlessImagesKilled } from '../helpers/killed-images.js';
import { isKilled } from '../helpers/killing.js';
import { LOOK, seenOver, version, WRITE } from '../helpers/new-images.js';
import { imageIn, startRegistry } from '../helpers/oci/registry.js';
import { unlessBusyboxImage } from '../helpers/oci/root-images.js';
import { scratchDirectory } from '../helpers/scratch.js';
import { serviceProgram } from '../helpers/serving.js';
import { bakeSnapshot, privateStore } from '../helpers/snapshots.js';

const OTHER = /belongs to another image than .*virt-sandbox-service upgrade/;

describe('a state in a disk image', { skip: unlessImagesKilled || unlessBusyboxImage }, () => {
  const { env, remove } = privateStore();
  before(() => bakeSnapshot(['-c', embedded.uri, '--slots', 'disks=1'], { env }, ['--overlay']));
  after(remove);

  it('lies over the old OCI image or the new one, whatever is killed, and the next upgrade ends it', async (t) => {
    const registry = await startRegistry(t);
    const images = [version(1), version(2)] as const;
    const setImage = (number: number) => registry.add(images[number - 1] ?? assert.fail(), 'v');
    setImage(1);
    const service = serviceProgram(t, { env });
    const { name, out, run, roots, states } = service;
    const programs = new KilledPrograms(service, join(scratchDirectory(t), 'calls'));
    const root = `docker://${imageIn(registry, 'v')}`;
    await service.create('-c', embedded.uri, ...ACCEL, '-i', '150', '--pull', 'always', '-r', root, name);
    const image = join(states, `${name}.qcow2`);
    /** The image that it is of, by its number. */
    const own = () => {
      const file = readFileSync(join(roots.services, name, 'config/sandbox.cfg'), 'utf8');
      return images.findIndex(({ manifest }) => file.includes(manifest.digest)) + 1;
    };
    const entries = () => readdirSync(join(roots.services, name)).sort();
    const inside = (words: string) => out('execute', name, '--', 'sh', '-c', words);
    await out('start', name);
    await inside(WRITE);
    await out('stop', name);
    const before = entries();
    let now = 1;
    setImage(2);
    const calls = { own: ['rename', 'fsync'], others: ['pwrite64', 'fdatasync'] };
    const starts = new Set<string>();
    for await (const { what, ended } of programs.kills(['upgrade', name], calls, () => image)) {
      const text = `${what}: ${ended.stderr}`;
      const [old, fresh] = [now, 3 - now];
      const wasKilled = isKilled(ended);
      assert.ok(wasKilled || own() === fresh, text);
      await programs.assertNoMachine();
      const { code, stderr } = await run(['start', name]);
      if (code === 0) {
        assert.equal(await inside(LOOK), seenOver(own()), text);
        await out('stop', name);
        starts.add(own() === old ? 'old' : 'new');
      } else {
        assert.match(stderr, OTHER, text);
        assert.equal(own(), old, text);
        starts.add('neither');
      }
      await out('upgrade', name);
      assert.equal(own(), fresh, text);
      await programs.assertNoMachine();
      assert.deepEqual(entries(), before, text);
      now = fresh;
      setImage(3 - now);
    }
    assert.deepEqual([...starts].sort(), ['neither', 'new', 'old']);
    await out('start', name);
    assert.equal(await inside(LOOK), seenOver(now));
    await out('stop', name);
  });
});
