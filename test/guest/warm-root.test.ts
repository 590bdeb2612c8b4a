/** Snapshots with the device of a root over virtiofs: what they serve, and what they do not. */
import assert from 'node:assert/strict';
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { ACCEL } from '../helpers/acceleration.js';
import { embedded, system } from '../helpers/connections.js';
import { unlessProgram } from '../helpers/images.js';
import { assertNothingLeft, uniqueName } from '../helpers/leftovers.js';
import { assertFailure, assertRun, runSandbox } from '../helpers/run.js';
import { scratchDirectory } from '../helpers/scratch.js';
import { type Baked, bakeSnapshot, privateStore, recordOf } from '../helpers/snapshots.js';

const TYPE = ['findmnt', '-n', '-o', 'FSTYPE', '/'];
const RETYPED = /no snapshot serves this sandbox: the snapshot \S+ has a root over virtiofs/;
const REMEDY = /bake one with: virt-sandbox-bake create --warm --for '.*--root-fs 9p'/;

for (const way of [embedded, system])
  describe(`a snapshot with its root over ${way.uri}`, { skip: way.skip }, () => {
    const OPTIONS = ['-c', way.uri, '--with', 'overlay'];
    const { env, remove } = privateStore();
    let baked: Baked;
    before(async () => {
      baked = await bakeSnapshot(OPTIONS, { env });
    });
    after(remove);
    const run = (...args: readonly string[]) =>
      runSandbox(['-c', way.uri, ...ACCEL, '--boot', 'warm', ...args], { env });

    it('serves the sandboxes of the default, which look for no device', async () => {
      assert.equal(recordOf(baked).root, 'virtiofs');
      const name = uniqueName();
      // The place that it has in the saved machine. What a look at the bus finds comes behind all of its devices.
      const script = `${TYPE.join(' ')}; readlink -f /sys/bus/virtio/drivers/virtiofs/virtio*`;
      const { code, out, stderr } = await run('-n', name, '-p', '--', 'sh', '-c', script);
      assert.equal(code, 0, stderr);
      assert.match(out, /^virtiofs\n\/sys\/devices\/pci0000:00\/0000:00:02\.0\/virtio\d+\n$/);
      await assertNothingLeft(name, way.where);
    });

    it('serves two at once, each with its own root', async (t) => {
      const both = [1, 2].map((number) => {
        const root = scratchDirectory(t);
        for (const name of ['dev', 'proc', 'sys', 'tmp', 'run', 'usr']) mkdirSync(join(root, name));
        for (const name of ['bin', 'lib', 'lib64']) symlinkSync(`usr/${name}`, join(root, name));
        writeFileSync(join(root, 'file'), `of root ${number}\n`);
        return run('-r', root, '-m', 'host-bind:/usr=/usr,ro', '--', 'cat', '/file');
      });
      for (const [at, result] of (await Promise.all(both)).entries()) assertRun(result, 0, `of root ${at + 1}\n`);
    });

    it('serves one with directories over virtiofs, and one with an overlay', {
      skip: unlessProgram('virtiofsd'),
    }, async (t) => {
      const directory = scratchDirectory(t);
      assertRun(
        await run(
          '-m',
          `host-bind:/mnt=${directory}`,
          '--',
          'sh',
          '-c',
          `${TYPE.join(' ')}; echo x >/mnt/x; cat /mnt/x`,
        ),
        0,
        'virtiofs\nx\n',
      );
      assertRun(await run('-p', '--overlay', '--', 'sh', '-c', 'echo y >/etc/y; cat /etc/y'), 0, 'y\n');
    });

    it('serves none without such a root, and the error says how to bake one that does', async (t) => {
      assertFailure(await run('--root-fs', '9p', '--', 'true'), RETYPED, REMEDY);
      const root = scratchDirectory(t);
      assertFailure(await run('-m', `host-bind:/=${root}`, '--', 'true'), RETYPED, REMEDY);
    });

    it('goes before one without, which serves both', async () => {
      const plain = await bakeSnapshot(OPTIONS, { env }, ['--root-fs', '9p']);
      assert.equal(recordOf(plain).root, undefined);
      const from = async (...args: readonly string[]) => {
        const { code, out, stderr } = await run('-v', ...args, '--', ...TYPE);
        assert.equal(code, 0, stderr);
        return [out.trim(), /^virt-sandbox: boot: warm, from (.*)$/m.exec(stderr)?.[1]];
      };
      assert.deepEqual(await from(), ['virtiofs', baked.warm]);
      assert.deepEqual(await from('--root-fs', '9p'), ['9p', plain.warm]);
      rmSync(baked.warm, { recursive: true });
      assert.deepEqual(await from(), ['virtiofs', plain.warm]);
    });
  });
