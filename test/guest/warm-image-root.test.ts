/** Warm starts from OCI images: one snapshot serves whatever image, and an image is in use as long as its sandboxes. */
import assert from 'node:assert/strict';
import { after, before, describe, it, type TestContext } from 'node:test';
import { run as runOnce, Sandbox, SandboxPool } from '../../src/index.js';
import { removeImage } from '../../src/oci/store/remove.js';
import { StorePaths } from '../../src/oci/store/store-paths.js';
import { ACCEL, ACCELERATION } from '../helpers/acceleration.js';
import { embedded, system } from '../helpers/connections.js';
import { ctl, endDetached } from '../helpers/ctl.js';
import { rejectsWith } from '../helpers/errors.js';
import { unlessProgram } from '../helpers/images.js';
import { assertNothingLeft, exceptLogs, leftAtLast, uniqueName } from '../helpers/leftovers.js';
import { SOMEBODY, writeBusyboxImage } from '../helpers/oci/busybox-image.js';
import { OrdinaryUser, unlessOrdinaryUser } from '../helpers/ordinary-user.js';
import { assertRun, runSandbox } from '../helpers/run.js';
import { scratchDirectory } from '../helpers/scratch.js';
import { bakeSnapshot, privateStore, recordOf } from '../helpers/snapshots.js';

const ANY = 'docker://127.0.0.1:1/nobody/serves-it';
const BOOT = { connect: embedded.uri, acceleration: ACCELERATION, boot: 'warm' } as const;
const where = exceptLogs(embedded.where);

/** An image that shares its file system with no other. */
function imageFor(t: TestContext, content = uniqueName()): string {
  return writeBusyboxImage(scratchDirectory(t), content);
}

const remove = (name: string) => removeImage(new StorePaths(), name);
const assertInUse = (name: string, pattern = new RegExp(`in use by the process ${process.pid}`)) =>
  rejectsWith(remove(name), 'image-in-use', pattern);

describe('a snapshot for images', { skip: embedded.skip || unlessProgram('busybox', 'mkfs.erofs') }, () => {
  const { env, remove: removeStore } = privateStore();
  const { XDG_CACHE_HOME: usual } = process.env;
  before(async () => {
    // The API of this process has the same store.
    process.env['XDG_CACHE_HOME'] = env.XDG_CACHE_HOME;
    const baked = await bakeSnapshot(['-c', embedded.uri], { env }, ['--root', ANY]);
    const { root, slots, sets } = recordOf(baked);
    assert.deepEqual([root, slots], [undefined, { mounts: 4, disks: 1, networks: 0 }]);
    assert.deepEqual(
      ['block', 'filesystem-erofs', 'overlay'].filter((set) => !sets.includes(set)),
      [],
    );
  });
  after(() => {
    if (usual === undefined) delete process.env['XDG_CACHE_HOME'];
    else process.env['XDG_CACHE_HOME'] = usual;
    removeStore();
  });
  const run = (...args: readonly string[]) =>
    runSandbox(['-c', embedded.uri, ...ACCEL, '--boot', 'warm', ...args], { env });

  it('serves each its own, with owners and an overlay', async (t) => {
    const script = 'stat -c "%u %g %a" /data; cat /data; echo more >>/data; cat /data /etc/hostname; id -u';
    const both = ['one', 'two'].map(async (content) => {
      const name = uniqueName();
      const image = imageFor(t, `${content}\n`);
      const result = await run('--root', image, '-n', name, '--', 'sh', '-c', script);
      assertRun(result, 0, `${SOMEBODY} 7 640\n${content}\n${content}\nmore\n${name}\n0\n`);
      await assertNothingLeft(name, where);
      // What a sandbox has written is nobody else's.
      assertRun(await run('--root', image, '--', 'cat', '/data'), 0, `${content}\n`);
    });
    await Promise.all(both);
  });

  it('serves one over qemu:///system', { skip: system.skip }, async (t) => {
    const [image, name] = [imageFor(t), uniqueName()];
    const args = ['-c', system.uri, '-n', name, '--root', image, '--', 'stat', '-c', '%u', '/data'];
    assertRun(await run(...args), 0, `${SOMEBODY}\n`);
    await assertNothingLeft(name, exceptLogs(system.where));
  });

  it('serves one with a directory of the host and an interface too few, and says how to bake another', async (t) => {
    const image = imageFor(t);
    const directory = scratchDirectory(t);
    assertRun(
      await run('--root', image, '-m', `host-bind:/mnt=${directory}`, '--', 'stat', '-c', '%F', '/mnt'),
      0,
      'directory\n',
    );
    const { code, stderr } = await run('--root', image, '-N', 'dhcp', '--', 'cat', '/data');
    assert.equal(code, 125);
    assert.match(
      stderr,
      /has no slot for a network; bake one with: virt-sandbox-bake create --warm --slots networks=1 --for '.*--root docker:\/\/any'/,
    );
  });

  it('serves sandboxes of the API, and each has the image until it has ended', async (t) => {
    const image = imageFor(t);
    const [one, two] = await Promise.all([1, 2].map(() => Sandbox.create({ ...BOOT, root: image })));
    assert.ok(one && two);
    t.after(() => Promise.all([one.stop(), two.stop()]));
    assert.deepEqual([one.launched.boot, two.launched.boot], ['warm', 'warm']);
    await one.stop();
    await assertInUse(image);
    assert.equal((await two.run(['stat', '-c', '%u', '/data'])).stdout, `${SOMEBODY}\n`);
    await two.stop();
    assert.equal((await remove(image)).roots.length, 1);
  });

  it('a start that fails gives the image back', async (t) => {
    const image = imageFor(t);
    await assert.rejects(runOnce(['nowhere'], { ...BOOT, root: image }), { code: 'command-not-found' });
    await assert.rejects(Sandbox.create({ ...BOOT, root: image, networks: ['dhcp'] }), { code: 'warm-image-missing' });
    assert.equal((await remove(image)).roots.length, 1);
  });

  it('serves a pool, which keeps its image as long as it or one of its sandboxes lives', async (t) => {
    const parent = scratchDirectory(t);
    const [old, changed] = [uniqueName(), uniqueName()];
    const image = writeBusyboxImage(parent, old);
    await using pool = await SandboxPool.create({ ...BOOT, root: image, size: 1 });
    assert.equal(writeBusyboxImage(parent, changed), image);
    const name = uniqueName();
    const first = await pool.take({ name });
    await using second = await pool.take();
    const read = async (sandbox: Sandbox) => (await sandbox.run(['cat', '/data'])).stdout;
    const named = 'cat /proc/sys/kernel/hostname /etc/hostname /etc/hosts; cat /proc/mounts';
    const [host, inFile, , , own, ...rest] = (await first.run(['sh', '-c', named])).stdout.split('\n');
    assert.deepEqual([host, inFile, own], [name, name, `127.0.1.1\t${name}`]);
    assert.equal(rest.filter((line) => line.includes(' /etc/hosts ')).length, 1);
    assert.deepEqual([await read(first), await read(second)], [old, old]);
    assert.deepEqual([first.launched.boot, second.launched.boot], ['warm', 'warm']);
    await first.stop();
    await pool.close();
    await assertInUse(image);
    await second.stop();
    await using other = await SandboxPool.create({ ...BOOT, root: image, size: 1 });
    await using third = await other.take();
    assert.equal(await read(third), changed);
    await third.stop();
    await assertInUse(image);
    await other.close();
    await remove(image);
  });

  it('a pool that is refused has pulled nothing', async (t) => {
    const image = imageFor(t);
    await assert.rejects(SandboxPool.create({ ...BOOT, root: image, size: 1, publish: ['8080'] }), {
      code: 'pool-with-ports',
    });
    await rejectsWith(remove(image), 'image-not-found');
  });

  it('serves a detached sandbox, which has the image until it has ended', async (t) => {
    const image = imageFor(t);
    const name = uniqueName();
    t.after(() => endDetached(name, { env }));
    assertRun(await run('--detach', '-n', name, '--root', image), 0, `${name}\n`);
    const { out } = await ctl(['inspect', name], { env });
    const [{ pid, boot } = { pid: 0, boot: '' }] = JSON.parse(out) as { pid: number; boot: string }[];
    assert.equal(boot, 'warm');
    await assertInUse(image, new RegExp(`in use by the process ${pid}`));
    assert.equal((await ctl(['stop', name], { env })).code, 0);
    // The process that held it ends a little later.
    const isLeft = () =>
      remove(image).then(
        () => [],
        (error: Error) => [error.message],
      );
    assert.deepEqual(await leftAtLast(isLeft), []);
  });
});

describe('a snapshot for images of an ordinary user', {
  skip: unlessOrdinaryUser() || unlessProgram('busybox', 'mkfs.erofs'),
}, () => {
  let user: OrdinaryUser;
  before(async () => {
    user = await OrdinaryUser.create({ emptyStore: true });
  });
  after(() => user.end());

  it('serves them with their owners', async () => {
    const uri = 'qemu:///session';
    await bakeSnapshot(['-c', uri], user.options, ['--root', ANY]);
    const [name, image] = [uniqueName(), writeBusyboxImage(user.home, uniqueName())];
    const args = ['-c', uri, ...ACCEL, '--boot', 'warm', '-n', name, '--root', image];
    const result = await runSandbox([...args, '--', 'stat', '-c', '%u %g', '/data'], user.options);
    assertRun(result, 0, `${SOMEBODY} 7\n`);
    await assertNothingLeft(name, exceptLogs(user.where));
  });
});
