/** virt-sandbox-ctl diff of machines whose overlay is in memory or in an image. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { ACCEL } from '../helpers/acceleration.js';
import { embedded, system } from '../helpers/connections.js';
import { ctl, detached, fails, said, startDetached } from '../helpers/ctl.js';
import { unlessProgram } from '../helpers/images.js';
import { assertNothingLeft, uniqueName } from '../helpers/leftovers.js';
import { OrdinaryUser, unlessOrdinaryUser } from '../helpers/ordinary-user.js';
import { aboutTree, changesOfTree, diffOfTree, makeOverlayTree } from '../helpers/overlay-tree.js';
import { runSandbox } from '../helpers/run.js';
import { scratchDirectory } from '../helpers/scratch.js';
import { bakeSnapshot, privateStore } from '../helpers/snapshots.js';
import { fingerprint } from '../helpers/tree-listing.js';

const TOOLS = unlessProgram('qemu-img', 'mke2fs');
/** Not in /tmp, which a sandbox has of its own. */
const ground = mkdtempSync('/var/tmp/virt-sandbox-diff-');
const images = mkdtempSync('/var/tmp/virt-sandbox-images-');
let tree: string;
before(() => {
  tree = makeOverlayTree(ground);
});
after(() => {
  for (const each of [ground, images]) rmSync(each, { recursive: true, force: true });
});

describe('diff of a machine', () => {
  for (const way of [embedded, system])
    it(`lists what is in memory, over ${way.uri}`, { skip: way.skip }, async (t) => {
      const earlier = fingerprint(ground);
      const name = await detached(t, way.uri, { options: [...ACCEL, '-p', '--overlay'] });
      assert.deepEqual(aboutTree(await said(['diff', name]), tree), []);
      await said(['exec', name, 'sh', '-c', changesOfTree(tree)]);
      assert.deepEqual(aboutTree(await said(['diff', name]), tree), diffOfTree(tree));
      const json = JSON.parse(await said(['diff', '--json', name])) as Record<
        'added' | 'changed' | 'deleted',
        string[]
      >;
      assert.ok(json.added.includes(`${tree}/a\nb\x1b[31m`));
      assert.ok(json.changed.includes(tree) && json.deleted.includes(`${tree}/removed`));
      assert.equal(fingerprint(ground), earlier);
    });

  it('lists what is in an image, of earlier sandboxes too', { skip: embedded.skip || TOOLS }, async (t) => {
    const file = join(images, 'kept.qcow2');
    const options = [...ACCEL, '-p', `--overlay=${file}`];
    const first = await startDetached(embedded.uri, { options });
    t.after(() => ctl(['kill', first]));
    await said([
      'exec',
      first,
      'sh',
      '-c',
      changesOfTree(tree).replaceAll('mv sub moved', 'cp -a sub moved; rm -r sub'),
    ]);
    assert.deepEqual(aboutTree(await said(['diff', first]), tree), diffOfTree(tree));
    await said(['stop', first]);
    await assertNothingLeft(first, embedded.where);
    const second = await detached(t, embedded.uri, { options });
    assert.deepEqual(aboutTree(await said(['diff', second]), tree), diffOfTree(tree));
  });

  it('knows what root with a root over virtiofs has changed', { skip: embedded.skip }, async (t) => {
    const name = await detached(t, embedded.uri, { options: [...ACCEL, '-p', '--overlay', '--root-fs', 'virtiofs'] });
    await said(['exec', name, 'sh', '-c', changesOfTree(tree)]);
    assert.deepEqual(aboutTree(await said(['diff', name]), tree), diffOfTree(tree));
  });

  it('works after a warm start', { skip: embedded.skip }, async (t) => {
    const { env, remove } = privateStore();
    t.after(remove);
    await bakeSnapshot(['-c', embedded.uri, '--with', 'overlay'], { env });
    const options = [...ACCEL, '-p', '--overlay', '--boot', 'warm'];
    const name = await detached(t, embedded.uri, { options }, { env });
    await said(['exec', name, 'sh', '-c', changesOfTree(tree)]);
    assert.deepEqual(aboutTree(await said(['diff', name]), tree), diffOfTree(tree));
  });

  it('is of a sandbox of a pool', { skip: embedded.skip }, async (t) => {
    const [pool, name] = [uniqueName(), uniqueName()];
    t.after(() => ctl(['pool', 'rm', '--force', pool]));
    const options = ['-c', embedded.uri, ...ACCEL, '-p', '--overlay'];
    // Without a snapshot it warns.
    assert.equal((await ctl(['pool', 'create', pool, '--size', '1', '--', ...options])).code, 0);
    const { code, stderr } = await runSandbox(['--pool', pool, '--detach', '-n', name, '--', 'sleep', '1000']);
    assert.equal(code, 0, stderr);
    await said(['exec', name, 'sh', '-c', changesOfTree(tree)]);
    assert.deepEqual(aboutTree(await said(['diff', name]), tree), diffOfTree(tree));
  });

  it('is of many names, and of a tree without end', { skip: embedded.skip }, async (t) => {
    const name = await detached(t, embedded.uri, { options: [...ACCEL, '--overlay', '-p', '--memory', '1G'] });
    const inside = [
      `mkdir ${tree}/many`,
      `cd ${tree}/many; seq 20000 | xargs touch`,
      'mkdir /deep; cd /deep',
      'i=0; while [ $i -lt 1100 ]; do mkdir d; cd ./d; i=$((i + 1)); done',
    ].join('\n');
    await said(['exec', name, 'sh', '-c', inside]);
    await fails(['diff', name], /directories within directories.*; remove them/);
    await said(['exec', name, 'rm', '-r', '/deep']);
    assert.equal(aboutTree(await said(['diff', name]), `${tree}/many`).length, 20_001);
  });

  it('shows nothing of what the sandbox does not see', { skip: embedded.skip }, async (t) => {
    const home = join(ground, 'home');
    mkdirSync(join(home, 'keys'), { recursive: true });
    for (const name of ['keys/secret', 'file']) writeFileSync(join(home, name), 'host\n');
    const options = [...ACCEL, '-p', '--overlay', '--hide', join(home, 'keys')];
    const name = await detached(t, embedded.uri, { options });
    await said(['exec', name, 'mv', home, `${ground}/led`]);
    const led = [`A ${ground}/led`, `A ${ground}/led/file`, `A ${ground}/led/keys`];
    const told = await said(['diff', name]);
    assert.deepEqual([...aboutTree(told, `${ground}/led`), ...aboutTree(told, home)], [...led, `D ${home}`]);
    await said([
      'exec',
      name,
      'sh',
      '-c',
      `rm -r ${ground}/led/keys; mkdir ${ground}/led/keys; mv ${ground}/led ${home}`,
    ]);
    assert.doesNotMatch(await said(['diff', name]), /secret/);
  });

  it('says so where there is no overlay', { skip: embedded.skip }, async (t) => {
    const name = await detached(t, embedded.uri, { options: [...ACCEL] });
    await fails(['diff', name], new RegExp(`${name} has no overlay.*; start it with --overlay`));
  });

  describe("of an ordinary user's", { skip: unlessOrdinaryUser() }, () => {
    let user: OrdinaryUser;
    before(async () => {
      user = await OrdinaryUser.create();
    });
    after(() => user?.end());

    it('is for that user', async (t) => {
      const options = [...ACCEL, '-p', '--overlay'];
      const name = await detached(t, 'qemu:///session', { options }, user.options);
      await said(['exec', name, 'sh', '-c', changesOfTree(tree)], user.options);
      assert.deepEqual(aboutTree(await said(['diff', name], user.options), tree), diffOfTree(tree));
      await fails(['diff', scratchDirectory(t)], /belong to root; run this as root/, user.options);
      // Root has no reason to look into directories for a user.
      await fails(['diff', `nobody/${name}`], /for its user to ask; use runuser -l nobody -c 'virt-sandbox-ctl diff/);
    });
  });
});
