/**
 * Promise: in a container whose overlay is kept, the init makes, mounts and writes nothing over a link that an earlier
 * run has left, in the overlay or in a directory of the host, and nothing that is hidden is seen by a second path (of the
 * name servers: test/lxc/network.test.ts). The attacker is user 0 inside, in the earlier run. The victims are a directory of the host that the later run may write
 * to, where root inside owns nothing, and what is hidden from it.
 */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { lxc } from '../helpers/connections.js';
import { askInside } from '../helpers/inside.js';
import { uniqueName } from '../helpers/leftovers.js';
import { assertFailure, assertRun, runSandbox } from '../helpers/run.js';
import { fingerprint } from '../helpers/tree-listing.js';

const KEY = 'secret of the host';
const ground = mkdtempSync('/var/tmp/virt-sandbox-hostile-links-');
const shelf = mkdtempSync('/var/tmp/virt-sandbox-hostile-shelf-');
/** Where a directory of the host is mounted that the sandbox may write to. */
const shared = join(ground, 'shared');
const home = join(ground, 'home');
/** What nothing on the host has. */
const OWN = `/${uniqueName()}`;

before(() => {
  chmodSync(ground, 0o755);
  for (const name of ['shared/dir', 'home/private', 'site', 'mounted', 'real/deep'])
    mkdirSync(join(ground, name), { recursive: true, mode: 0o755 });
  writeFileSync(join(shared, 'victim'), 'whole\n', { mode: 0o600 });
  writeFileSync(join(home, 'private/key'), `${KEY}\n`, { mode: 0o644 });
  writeFileSync(join(home, 'open'), 'open\n', { mode: 0o644 });
  writeFileSync(join(ground, 'included'), 'included\n', { mode: 0o644 });
  symlinkSync('real', join(ground, 'link'));
});
after(() => {
  for (const directory of [ground, shelf]) rmSync(directory, { recursive: true, force: true });
});

const HIDE = ['--hide', join(home, 'private')];
const SHARED = ['-m', `host-bind:/mnt=${shared}`];

/** A directory that keeps an overlay in which that has happened. */
async function left(script: string): Promise<string> {
  const kept = `--overlay=${join(shelf, uniqueName())}`;
  assert.deepEqual(await askInside(lxc, [kept], { left: `${script}; echo left` }), { left: 'left' });
  return kept;
}

async function refused(words: readonly string[], why: RegExp): Promise<void> {
  const earlier = fingerprint(ground);
  const result = await runSandbox(['-c', lxc.uri, ...words, '--', 'true'], lxc.options);
  assertFailure(result, why);
  assert.equal(fingerprint(ground), earlier);
}

const over = (link: string) => new RegExp(`over the symbolic link "${link}".*rm ${link}`);

describe('links that an earlier container has left', { skip: lxc.skip }, () => {
  for (const [what, words] of [
    ['a mount in memory', ['-m', `ram:${OWN}/cache=1M`]],
    ['a directory of the host', ['-m', `host-bind:${OWN}/cache=${ground}/mounted`]],
    ['a second path', ['-m', `guest-bind:${OWN}/cache=${ground}/site`]],
  ] as const)
    it(`lead ${what} nowhere`, async () => {
      const kept = await left(`ln -s /mnt/dir ${OWN}`);
      await refused([kept, ...SHARED, ...words], over(OWN));
      // One that is the mount's own directory, and one that goes through two.
      const others = await left(`ln -s ${OWN}/two ${OWN}-one; mkdir ${OWN}; ln -s /mnt/dir ${OWN}/cache`);
      await refused([others, ...SHARED, ...words], over(`${OWN}/cache`));
      const twice = words.map((word) => word.replace(`${OWN}/cache`, `${OWN}-one/x`));
      await refused([others, ...SHARED, ...twice], over(`${OWN}-one`));
    });

  it('lead the home nowhere', async () => {
    const home = /^nobody:.*/m.exec(readFileSync('/etc/passwd', 'utf8'))?.[0].split(':')[5] ?? '';
    assert.match(home, /^\/[a-z]+$/);
    const kept = await left(`ln -s /mnt/dir ${home}`);
    await refused([kept, ...SHARED, '-S', 'nobody', '--home', 'tmp'], over(home));
  });

  it('are followed where the root has them, and lead on to none that it has not', async () => {
    const kept = await left('true');
    const words = [kept, '-m', `ram:${ground}/link/deep=1M`];
    const { mounts } = await askInside(lxc, words, { mounts: `mountpoint -q ${ground}/real/deep && echo mounted` });
    assert.equal(mounts, 'mounted');
    const further = await left(`rm -r ${ground}/real/deep; ln -s /mnt/dir ${ground}/real/deep`);
    await refused([further, ...SHARED, '-m', `ram:${ground}/link/deep=1M`], over(`${ground}/real/deep`));
    // The same text elsewhere is another link.
    const changed = await left(`rm ${ground}/link; ln -s /mnt ${ground}/link`);
    await refused([changed, ...SHARED, '-m', `ram:${ground}/link/dir/x=1M`], over(`${ground}/link`));
  });

  it('lead no mount out of a directory of the host', async () => {
    symlinkSync(OWN, join(shared, 'out'));
    try {
      const kept = await left('true');
      await refused([kept, ...SHARED, '-m', 'ram:/mnt/out/x=1M'], over('/mnt/out'));
      await refused([kept, ...SHARED, '-m', `guest-bind:${OWN}-x=/mnt/out`], over('/mnt/out'));
    } finally {
      rmSync(join(shared, 'out'));
    }
  });

  it('lead no include to a directory of the host', async () => {
    const bind = ['-m', `guest-bind:/opt=${ground}/site`];
    const file = ['-i', `/opt/f=${ground}/included`];
    const tree = ['-i', `/opt/d=${ground}/real`];
    const through = /symbolic link, and may lead out of the mount/;
    const kept = await left(
      `ln -s /mnt/victim ${ground}/site/f; mkdir ${ground}/site/d; ln -s /mnt/dir ${ground}/site/d/deep`,
    );
    await refused([kept, ...SHARED, ...bind, ...file], through);
    await refused([kept, ...SHARED, ...bind, ...tree], through);
    const above = await left(`ln -s /mnt ${ground}/site/f`);
    await refused([above, ...SHARED, ...bind, '-i', `/opt/f/dir/new=${ground}/included`], through);
    const none = await left('true');
    const words = [
      '-c',
      lxc.uri,
      none,
      ...SHARED,
      ...bind,
      ...file,
      ...tree,
      '--',
      'sh',
      '-c',
      'cat /opt/f; ls /opt/d',
    ];
    for (let times = 0; times < 2; times += 1) assertRun(await runSandbox(words, lxc.options), 0, 'included\ndeep\n');
    assert.equal(readFileSync(join(shared, 'victim'), 'utf8'), 'whole\n');
  });

  it('show nothing that is hidden by a second path', async () => {
    for (const target of [home, '/', `${home}/private`]) {
      const kept = await left(`rmdir ${ground}/site; ln -s ${target} ${ground}/site`);
      await refused([kept, ...HIDE, '-m', `guest-bind:${OWN}=${ground}/site`], over(`${ground}/site`));
    }
    // Nor does a second path that the caller gives.
    const kept = await left('true');
    const shown = join(ground, 'shown');
    symlinkSync('home', shown);
    for (const overlay of [[kept], ['--overlay'], [kept, '-S', 'nobody'], []])
      for (const [source, path] of [
        [home, '/mnt'],
        [shown, '/mnt'],
        [ground, '/mnt/home'],
        ['/', `/mnt${home}`],
      ]) {
        const words = [...overlay, ...HIDE, '-m', `guest-bind:/mnt=${source}`];
        const found = await askInside(lxc, words, {
          open: `cat ${path}/open`,
          hidden: `ls -A ${path}/private; cat ${path}/private/key 2>&1; find /mnt -xdev -name key 2>/dev/null -exec grep -l '${KEY}' {} +`,
          moved: `mv ${path}/private ${path}/other 2>&1 && echo moved`,
          system: 'test /mnt -ef / || ls -A /mnt/dev/.sandbox /mnt/proc/1 2>/dev/null',
        });
        assert.equal(found.open, 'open', String([overlay, source]));
        assert.doesNotMatch(found.hidden, new RegExp(`secret|${KEY}|/key$`), found.hidden);
        assert.doesNotMatch(found.moved, /moved$/);
        assert.equal(found.system, '');
      }
  });
});
