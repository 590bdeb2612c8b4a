/** A pool whose template changes: what was started before is not given. */
import assert from 'node:assert/strict';
import { copyFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { PoolOptions } from '../../src/index.js';
import { embedded } from '../helpers/connections.js';
import { withoutClock } from '../helpers/fallback.js';
import { DEBIAN_KERNEL, installedKernelPath, scratchDirectory } from '../helpers/scratch.js';
import { copySnapshot, privateStore } from '../helpers/snapshots.js';
import { poolOf } from '../helpers/taking.js';
import { USUAL } from '../helpers/usual-snapshot.js';

describe('a pool whose template changes', { skip: embedded.skip }, () => {
  it('starts others', async (t) => {
    const directory = scratchDirectory(t);
    const [include, profile] = [join(directory, 'include'), join(directory, 'profile.json')];
    const described = { format: 1, name: 'pool', extends: 'default' };
    writeFileSync(include, 'old');
    writeFileSync(profile, JSON.stringify({ ...described, description: 'One' }));
    const mounts: PoolOptions['mounts'] = [
      { type: 'ram', target: '/srv', usage: 1 << 20, includes: [{ target: '/srv/include', source: include }] },
    ];
    const { pool, take } = await poolOf(t, { size: 1, mounts, profile });
    const read = async () => {
      const before = pool.names[0];
      const sandbox = await take();
      const { stdout } = await sandbox.run(['cat', '/srv/include']);
      await sandbox.stop();
      const isSame = sandbox.name === before;
      await pool.filled();
      return [stdout, isSame];
    };
    assert.deepEqual(await read(), ['old', true]);
    writeFileSync(include, 'new');
    assert.deepEqual(await read(), ['new', false]);
    assert.deepEqual(await read(), ['new', true]);
    writeFileSync(profile, JSON.stringify({ ...described, description: 'Another' }));
    assert.deepEqual(await read(), ['new', false]);
  });

  it('starts others when its snapshot or its kernel is another', async (t) => {
    const store = privateStore();
    const { XDG_CACHE_HOME: usual } = process.env;
    t.after(() => {
      if (usual === undefined) delete process.env['XDG_CACHE_HOME'];
      else process.env['XDG_CACHE_HOME'] = usual;
      store.remove();
    });
    const { warm } = await copySnapshot(USUAL, store.env);
    process.env['XDG_CACHE_HOME'] = store.env.XDG_CACHE_HOME;
    const [choices, warnings]: [string[], string[]] = [[], []];
    const kernel = join(scratchDirectory(t), 'vmlinuz');
    copyFileSync(installedKernelPath(DEBIAN_KERNEL), kernel);
    const onChoice = (sentence: string) => choices.push(sentence);
    const onWarning = (sentence: string) => warnings.push(sentence);
    const { pool, take } = await poolOf(t, { size: 1, onChoice, onWarning });
    assert.deepEqual(withoutClock(warnings), []);
    rmSync(warm, { recursive: true });
    await (await take()).stop();
    assert.match(
      choices.join('\n'),
      /boot: warm[\s\S]*pool: started anew, because the snapshot changed[\s\S]*boot: cold/,
    );
    await pool.close();
    const modulesPath = '/lib/modules';
    const template = { onChoice, onWarning, kernel: { version: undefined, path: kernel, modulesPath } };
    const other = await poolOf(t, { size: 1, ...template });
    assert.match(warnings.join('\n'), /^no snapshot serves the sandboxes of the pool.*create --warm/m);
    utimesSync(kernel, 1, 1);
    await other.take();
    assert.match(choices.join('\n'), /because the boot image changed/);
  });
});
