/** virt-sandbox-ctl diff of containers, which have an overlay in memory for each mount below the root. */
import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { besideLxc, lxc } from '../helpers/connections.js';
import { detached, endDetached, fails, said } from '../helpers/ctl.js';
import { uniqueName } from '../helpers/leftovers.js';
import { aboutTree, changesOfTree, diffOfTree, makeOverlayTree } from '../helpers/overlay-tree.js';
import { runSandbox } from '../helpers/run.js';
import { fingerprint } from '../helpers/tree-listing.js';

/** Not in /tmp, which a sandbox has of its own. */
const ground = mkdtempSync('/var/tmp/virt-sandbox-diff-');
const NOBODY = 65_534;
const point = join(ground, 'a mount');
let tree: string;
before(() => {
  tree = makeOverlayTree(ground);
  mkdirSync(point);
  if (lxc.skip !== false) return;
  besideLxc('mount', '-t', 'tmpfs', 'none', point);
  besideLxc('touch', join(point, 'kept'), join(point, 'removed'));
});
after(() => {
  if (lxc.skip === false) besideLxc('umount', point);
  rmSync(ground, { recursive: true, force: true });
});

describe('diff of a container', { skip: lxc.skip }, () => {
  for (const [who, options] of [
    ['root', []],
    ['root with all capabilities', ['-p']],
  ] as const)
    it(`lists what ${who} has changed`, async (t) => {
      const earlier = fingerprint(tree);
      const how = lxc.options;
      const name = uniqueName();
      const words = ['-c', lxc.uri, '-n', name, ...options, '--overlay'];
      // With all capabilities it warns.
      assert.equal((await runSandbox(['--detach', ...words], how)).out, `${name}\n`);
      t.after(() => endDetached(name, how));
      // What the init makes anew counts as unchanged.
      assert.equal(await said(['diff', name], how), '');
      await said(['exec', name, 'sh', '-c', changesOfTree(tree)], how);
      assert.deepEqual(aboutTree(await said(['diff', name], how), tree), diffOfTree(tree));
      await said(['exec', name, 'sh', '-c', `cd '${point}'; rm removed; echo x > new`], how);
      assert.deepEqual(aboutTree(await said(['diff', name], how), point), [
        `C ${point}`,
        `A ${point}/new`,
        `D ${point}/removed`,
      ]);
      assert.equal(fingerprint(tree), earlier);
    });

  it('lists what a user has changed, who owns the same files as on the host', async (t) => {
    const own = join(ground, 'own');
    mkdirSync(own);
    for (const name of ['same', 'removed']) writeFileSync(join(own, name), 'host\n');
    for (const path of [own, join(own, 'same'), join(own, 'removed')]) chownSync(path, NOBODY, NOBODY);
    const name = await detached(t, lxc.uri, { options: ['-S', 'nobody', '--overlay'] }, lxc.options);
    const script = `cd ${own}; rm removed; echo x > new; touch -r same same`;
    await said(['exec', name, 'sh', '-c', script], lxc.options);
    assert.deepEqual(aboutTree(await said(['diff', name], lxc.options), own), [
      `C ${own}`,
      `A ${own}/new`,
      `D ${own}/removed`,
    ]);
  });

  it('shows nothing of a directory that nobody may read', async (t) => {
    const open = join(ground, 'open');
    mkdirSync(join(open, 'closed'), { recursive: true });
    for (const name of ['closed/secret', 'file']) writeFileSync(join(open, name), 'host\n');
    chmodSync(join(open, 'closed'), 0o700);
    const name = await detached(t, lxc.uri, { options: ['--overlay'] }, lxc.options);
    await said(['exec', name, 'mv', open, `${ground}/led`], lxc.options);
    const told = await said(['diff', name], lxc.options);
    assert.deepEqual(aboutTree(told, `${ground}/led`), [
      `A ${ground}/led`,
      `A ${ground}/led/closed`,
      `A ${ground}/led/file`,
    ]);
  });

  it('lists the others where a mount is gone', async (t) => {
    const gone = join(ground, 'gone');
    mkdirSync(gone);
    besideLxc('mount', '-t', 'tmpfs', 'none', gone);
    t.after(() => rmSync(gone, { recursive: true, force: true }));
    const name = await detached(t, lxc.uri, { options: ['--overlay'] }, lxc.options);
    await said(['exec', name, 'sh', '-c', `touch ${gone}/new ${tree}/new`], lxc.options);
    besideLxc('umount', '-l', gone);
    rmSync(gone, { recursive: true });
    const told = await said(['diff', name], lxc.options);
    assert.deepEqual(aboutTree(told, gone), [`C ${gone}`, `A ${gone}/new`]);
    assert.deepEqual(aboutTree(told, tree), [`C ${tree}`, `A ${tree}/new`]);
  });

  it('says so where there is no overlay', async (t) => {
    const name = await detached(t, lxc.uri, {}, lxc.options);
    await fails(['diff', name], /has no overlay.*; start it with --overlay/, lxc.options);
  });
});
