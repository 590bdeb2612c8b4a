/**
 * Promise: what a sandbox writes to an overlay that is kept in a directory stays in that directory, where no user of the
 * host but root reaches it, and nothing that a sandbox has put there leads the next one, or root, elsewhere.
 * The attackers are root inside a machine with every capability, who also mounts the share of the layers again, and an
 * ordinary user of the host. The victims are the files of the host.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { ACCEL } from '../helpers/acceleration.js';
import { embedded } from '../helpers/connections.js';
import { unlessProgram } from '../helpers/images.js';
import { ask } from '../helpers/inside.js';
import { assertFailure, assertRun, runSandbox } from '../helpers/run.js';
import { unlessRoot } from '../helpers/scratch.js';
import { fingerprint } from '../helpers/tree-listing.js';

const NOBODY = 65_534;
/** Not in /tmp, which a sandbox has of its own. */
const ground = mkdtempSync('/var/tmp/virt-sandbox-hostile-kept-');
const victims = join(ground, 'victims');

before(() => {
  chmodSync(ground, 0o755);
  mkdirSync(join(victims, 'deep'), { recursive: true });
  for (const name of ['victim', 'deep/victim']) writeFileSync(join(victims, name), 'whole\n', { mode: 0o644 });
});
after(() => rmSync(ground, { recursive: true, force: true }));

/** The share with the layers, which the kernel lets root inside mount again. */
const AGAIN = 'mkdir -p /tmp/o && mount -t virtiofs sandbox:overlay /tmp/o && cd /tmp/o';

const ATTACKS = {
  shell:
    'cp /bin/sh /usr/local/bin/root-shell && chmod 6755 /usr/local/bin/root-shell && stat -c %a /usr/local/bin/root-shell',
  devices:
    'for at in /null /tmp/o/upper/null; do mknod $at c 1 3 || echo no; mknod $at b 8 0 || echo no; done; ' +
    `${AGAIN}; mknod null c 1 3 || echo no; mknod upper/memory c 1 1 || echo no`,
  // Neither the record of the root nor what is beside it.
  out: `${AGAIN}; ls -A | sort | tr '\\n' ' '; find . -name overlay.json`,
  // An overlay that is destroyed is the sandbox's own.
  layers: `${AGAIN}; mv upper aside; ln -s ${victims} upper; rm -rf work; ln -s /etc work; ls -l | grep -c -e '->'; sync`,
} as const;

describe('what a sandbox keeps', {
  skip: embedded.skip || unlessRoot('it is root’s') || unlessProgram('virtiofsd'),
}, () => {
  const kept = join(ground, 'kept');
  const args = ['-c', embedded.uri, ...ACCEL, '-p'];

  it('is in its directory, closed to others, and leads nowhere', async () => {
    const earlier = fingerprint(victims);
    const found = await ask([...args, `--overlay=${kept}`], ATTACKS);
    // It could: the program is there, and would make anybody root who reaches it.
    assert.equal(found.shell, '6755');
    assert.equal(found.devices.split('\n').filter((line) => line === 'no').length, 6, found.devices);
    assert.equal(found.out, 'upper work');
    assert.equal(found.layers, '2');
    assert.equal(fingerprint(victims), earlier);

    const layers = join(kept, 'layers');
    const program = join(layers, 'aside/usr/local/bin/root-shell');
    const { uid, mode } = lstatSync(program);
    assert.deepEqual([uid, mode & 0o7777], [0, 0o6755]);
    const other = spawnSync(program, ['-c', 'id'], { uid: NOBODY, gid: NOBODY, encoding: 'utf8' });
    assert.match(String(other.error), /EACCES/);
    assert.equal(readlinkSync(join(layers, 'upper')), victims);

    // The next run does not follow them.
    assertFailure(await runSandbox([...args, `--overlay=${kept}`, '--', 'true']), /layers\/upper is no directory/);
    assert.equal(fingerprint(victims), earlier);
  });

  it('is not written to by another mount', async () => {
    for (const mount of [`host-bind:/mnt=${ground}`, `host-bind:/mnt=${ground}/kept2/layers`, 'host-bind:/mnt=/']) {
      mkdirSync(join(ground, 'kept2/layers'), { recursive: true, mode: 0o700 });
      const result = await runSandbox([...args, '-m', mount, `--overlay=${ground}/kept2`, '--', 'true']);
      assertFailure(result, /can write to the directory .* of its overlay by the mount on \/mnt/);
      assertRun(await runSandbox([...args, '-m', `${mount},ro`, `--overlay=${ground}/kept2`, '--', 'true']), 0, '');
    }
  });

  it('is in no directory that another user may put another one in the place of', async () => {
    const home = join(ground, 'home');
    mkdirSync(home);
    chownSync(home, NOBODY, NOBODY);
    const own = join(home, 'kept');
    const refused = async (path: string, ...patterns: RegExp[]) => {
      const earlier = fingerprint(victims);
      assertFailure(await runSandbox([...args, `--overlay=${path}`, '--', 'true']), ...patterns);
      assert.equal(fingerprint(victims), earlier);
    };
    await refused(own, /home belongs to user 65534/, /\/var\/lib/);
    // By a link of theirs, into another overlay of root's.
    const trusted = join(ground, 'trusted');
    assertRun(await runSandbox([...args, `--overlay=${trusted}`, '--', 'true']), 0, '');
    symlinkSync(trusted, own);
    lchownSync(own, NOBODY, NOBODY);
    await refused(own, /home belongs to user 65534/);
    // Somebody was quicker, in a directory like /tmp.
    const shared = join(ground, 'shared');
    mkdirSync(shared);
    chmodSync(shared, 0o1777);
    const taken = join(shared, 'kept');
    mkdirSync(taken, { mode: 0o700 });
    chownSync(taken, NOBODY, NOBODY);
    await refused(taken, /kept belongs to user 65534/);
    // A link of theirs to what root has closed.
    rmSync(taken, { recursive: true });
    chmodSync(victims, 0o700);
    symlinkSync(victims, taken);
    lchownSync(taken, NOBODY, NOBODY);
    await refused(taken, /kept belongs to user 65534/);
    rmSync(taken);
    symlinkSync(trusted, taken);
    lchownSync(taken, NOBODY, NOBODY);
    await refused(taken, /kept belongs to user 65534/);
    // One of root's own leads to what is something else.
    rmSync(taken);
    symlinkSync(victims, taken);
    await refused(taken, /is not empty, and no overlay is in it/);
    rmSync(taken);
    chmodSync(victims, 0o755);
    assertRun(await runSandbox([...args, `--overlay=${taken}`, '--', 'true']), 0, '');
    const moved = spawnSync('mv', [taken, `${taken}-away`], { uid: NOBODY, gid: NOBODY, encoding: 'utf8' });
    assert.match(moved.stderr, /Operation not permitted/);
    chmodSync(taken, 0o755);
    await refused(taken, /others than root may enter it/, /chmod 700/);
    renameSync(taken, `${taken}-done`);
  });
});
