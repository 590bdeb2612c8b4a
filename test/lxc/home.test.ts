/** The home directory in a container: --home. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { lxc } from '../helpers/connections.js';
import { mounted } from '../helpers/hide.js';
import { askInside } from '../helpers/inside.js';
import { assertNothingLeft, uniqueName } from '../helpers/leftovers.js';
import { assertFailure, runSandbox } from '../helpers/run.js';

/** Not in /tmp, which a sandbox has of its own. */
const ground = mkdtempSync('/var/tmp/virt-sandbox-lxc-home-');
const home = join(ground, 'home');
/** The container's libvirtd runs in a mount namespace of its own, and sees these. */
const way = { ...lxc, options: { ...lxc.options, env: { HOME: home } } };

before(() => {
  chmodSync(ground, 0o755);
  for (const path of ['', '.ssh', 'own']) mkdirSync(join(home, path), { recursive: true, mode: 0o755 });
  for (const path of ['.ssh/id', 'own/secret', '.netrc']) writeFileSync(join(home, path), 'SECRET\n', { mode: 0o644 });
});
after(() => rmSync(ground, { recursive: true, force: true }));

const FACTS = {
  names: 'cd; pwd; ls -A ~',
  mode: 'stat -c "%a %u %g" ~',
  write: 'echo kept > ~/file && cat ~/file',
  secrets: `cat ${home}/own/secret ${home}/.ssh/id ${home}/.netrc 2>/dev/null; grep -rs SECRET ${ground}`,
} as const;

describe('the home in a container', { skip: lxc.skip }, () => {
  it('is an empty one with tmp, and nothing is seen of the one of the host', async () => {
    const name = uniqueName();
    const found = await askInside(way, ['-n', name, '--home', 'tmp'], FACTS);
    assert.deepEqual(found, { names: home, mode: '700 0 0', write: 'kept', secrets: '' });
    await assertNothingLeft(name, lxc.where);
    const host = await askInside(way, ['--home', 'host'], FACTS);
    assert.equal(host.secrets, `SECRET\n${home}/own/secret:SECRET`);
    assert.match(host.write, /Read-only file system/);
  });

  it('is a directory that is kept, with the owners that files have inside', async () => {
    const box = join(ground, 'boxes/root');
    const found = await askInside(way, ['--home', box], FACTS);
    assert.deepEqual(found, { names: home, mode: '700 0 0', write: 'kept', secrets: '' });
    assert.equal(readFileSync(join(box, 'file'), 'utf8'), 'kept\n');
    assert.deepEqual([statSync(box).mode & 0o7777, statSync(join(box, 'file')).uid], [0o700, 0]);
    assert.equal((await askInside(way, ['--home', box], { read: 'cat ~/file' })).read, 'kept');
  });

  it('may be where the container has a file system of its own', async () => {
    const there = mkdtempSync('/tmp/virt-sandbox-lxc-home-');
    const from = { ...lxc, options: { ...lxc.options, env: { HOME: there } } };
    try {
      const found = await askInside(from, ['--home', 'tmp'], { names: FACTS.names, write: FACTS.write });
      assert.deepEqual(found, { names: there, write: 'kept' });
    } finally {
      rmSync(there, { recursive: true });
    }
  });

  it('is of another user too', async () => {
    const users = join(ground, 'passwd');
    const at = join(ground, 'madeup');
    mkdirSync(at, { mode: 0o755 });
    const user = { uid: 54_321, gid: 54_322 };
    writeFileSync(users, `root:x:0:0::/root:/bin/sh\nmadeup:x:${user.uid}:${user.gid}::${at}:/bin/sh\n`, {
      mode: 0o644,
    });
    // Only the launcher sees it.
    const through = [...(lxc.options.through ?? []), ...mounted(`mount --bind '${users}' /etc/passwd`)];
    const from = { ...lxc, options: { through, env: { HOME: home } } };
    const own = ['-m', 'ram:/opt=1M', '-S', 'madeup'];
    const found = await askInside(from, [...own, '--home', 'tmp'], FACTS);
    assert.deepEqual(found, { names: at, mode: `700 ${user.uid} ${user.gid}`, write: 'kept', secrets: '' });
    const box = join(ground, 'boxes/madeup');
    assert.equal((await askInside(from, [...own, '--home', box], FACTS)).write, 'kept');
    assert.equal(statSync(join(box, 'file')).uid, user.uid);
    const refused = await runSandbox(['-c', lxc.uri, '-S', 'daemon', '--home', 'tmp', '--', 'true'], lxc.options);
    assertFailure(refused, /config: the home directory of daemon is "\/usr\/sbin", which the system itself needs/);
  });
});
