/**
 * Promise: what a container keeps with --overlay=DIR leads neither the next container, nor its init, nor root of the host
 * to anything else, and becomes no program or device of the host's. The kernel of the host mounts it, so nothing in it
 * means anything to overlayfs that overlayfs has not put there. The attackers are user 0 inside, who owns every file of
 * the overlay, in an earlier run, and an ordinary user of the host. The victims are files of the host.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { besideLxc, lxc } from '../helpers/connections.js';
import { unlessProgram } from '../helpers/images.js';
import { askInside } from '../helpers/inside.js';
import { uniqueName } from '../helpers/leftovers.js';
import { assertFailure, assertRun, runSandbox } from '../helpers/run.js';
import { fingerprint } from '../helpers/tree-listing.js';

const NOBODY = 65_534;
/** Not in /tmp, which a sandbox has of its own. */
const ground = mkdtempSync('/var/tmp/virt-sandbox-hostile-kept-');
const shelf = mkdtempSync('/var/tmp/virt-sandbox-hostile-shelf-');
const victims = join(ground, 'victims');
const home = join(ground, 'home');
const KEY = 'secret of the host';

before(() => {
  chmodSync(ground, 0o755);
  for (const name of ['victims/deep', 'home/private', 'home/moved', 'closed', 'target'])
    mkdirSync(join(ground, name), { recursive: true, mode: 0o755 });
  for (const name of ['victims/victim', 'victims/deep/victim', 'target/file'])
    writeFileSync(join(ground, name), 'whole\n', { mode: 0o644 });
  // What is hidden, everybody might read.
  for (const name of ['home/private/key', 'home/moved/key', 'home/netrc'])
    writeFileSync(join(ground, name), `${KEY}\n`, { mode: 0o644 });
  for (const name of ['closed/key', 'secret']) writeFileSync(join(ground, name), `${KEY}\n`, { mode: 0o600 });
  chmodSync(join(ground, 'closed'), 0o700);
});
after(() => {
  for (const directory of [ground, shelf]) rmSync(directory, { recursive: true, force: true });
});

const skip = lxc.skip || unlessProgram('python3', 'getfattr');

/** Files of the host that are hidden from some runs. */
const HIDE = ['private', 'netrc', 'moved/key'].flatMap((name) => ['--hide', join(home, name)]);

const trap = (name: string, target: string) => `rm -rf ${ground}/${name}; ln -s ${target} ${ground}/${name}`;

describe('what an earlier container has kept', { skip }, () => {
  it('makes nobody root, is no device, and has no attribute that means anything', async () => {
    const kept = join(shelf, 'programs');
    const earlier = fingerprint(victims);
    const attributes = ['trusted.overlay.redirect', 'trusted.overlay.metacopy', 'trusted.overlay.opaque', 'trusted.x'];
    const users = ['user.overlay.redirect', 'user.overlay.metacopy', 'user.overlay.opaque', 'user.overlay.origin'];
    const script = (names: readonly string[]) => `python3 -c 'import os
for name in ${JSON.stringify(names)}:
  for path in ("${victims}/victim", "${victims}/deep"):
    try: os.setxattr(path, name, b"${ground}/secret"); print("set", name)
    except OSError as error: print(error.errno)'`;
    const found = await askInside(lxc, [`--overlay=${kept}`], {
      shell:
        'cp /bin/sh /usr/local/bin/root-shell && chmod 6755 /usr/local/bin/root-shell && stat -c %a /usr/local/bin/root-shell',
      devices:
        'for kind in "c 1 1" "c 1 3" "b 254 0" "c 0 0"; do mknod /node $kind && echo made; done 2>&1 | sed "s/.*: //"',
      capable: `python3 -c 'import os
try: os.setxattr("/usr/local/bin/root-shell", "security.capability", bytes.fromhex("01000002" + 2 * "ffffffff00000000")); print("set")
except OSError as error: print(error.strerror)'`,
      trusted: script(attributes),
      users: script(users),
      read: `cat ${victims}/victim; ls ${victims}/deep`,
      layers: `ls -A /dev/.sandbox/* /dev/.overlay 2>/dev/null; grep -c -e /dev/.sandbox -e /dev/.overlay -e ${kept} /proc/self/mountinfo`,
    });
    assert.equal(found.shell, '6755');
    assert.equal(found.devices, Array(4).fill('Operation not permitted').join('\n'));
    assert.equal(found.capable, 'Operation not permitted');
    assert.equal(
      found.trusted,
      Array(2 * attributes.length)
        .fill(constants.errno.EPERM)
        .join('\n'),
    );
    // Those anybody may set, and they mean nothing.
    assert.equal(found.users, users.flatMap((name) => [`set ${name}`, `set ${name}`]).join('\n'));
    assert.equal(found.read, 'whole\nvictim');
    assert.equal(found.layers, '0');
    assert.equal(fingerprint(victims), earlier);

    const upper = join(kept, 'layers/mounts/%2F/upper');
    const program = join(upper, 'usr/local/bin/root-shell');
    const { uid, mode } = lstatSync(program);
    assert.deepEqual([uid, mode & 0o7777], [0, 0o6755]);
    const other = spawnSync(program, ['-c', 'id'], { uid: NOBODY, gid: NOBODY, encoding: 'utf8' });
    assert.match(String(other.error), /EACCES/);
    const kernels = execFileSync('getfattr', ['-R', '-h', '-d', '-m', '^trusted', upper], { encoding: 'utf8' });
    assert.doesNotMatch(kernels, /redirect|metacopy|secret/);
    // The next one runs it as what it is there: a user who has nothing on the host.
    const next = await askInside(lxc, [`--overlay=${kept}`, '-S', 'nobody'], {
      id: '/usr/local/bin/root-shell -c "id -u"',
      read: `cat ${victims}/victim; ls ${victims}/deep; cat ${ground}/secret`,
    });
    assert.equal(next.id, String(NOBODY));
    assert.match(next.read, /^whole\nvictim\n.*Permission denied$/);
    assert.equal(fingerprint(victims), earlier);
  });

  it('leads mounts of the root, and hidden files, nowhere', async () => {
    const kept = `--overlay=${shelf}/links`;
    const earlier = fingerprint(ground);
    const mounted = `/var/lib/libvirt/${uniqueName()}`;
    besideLxc('mkdir', '-p', mounted);
    await askInside(lxc, [kept], {
      above: trap('home', `${victims}/deep`),
      system: `rm -f /etc/resolv.conf; ln -s ${victims}/victim /etc/resolv.conf; rm -f /etc/passwd; ln -s /dev/tty2 /etc/passwd`,
      mount: `rmdir ${mounted}; ln -s ${victims} ${mounted}`,
      top: 'for name in dev proc sys tmp run; do rmdir /$name; mv /$name /x$name; ln -s /etc /y$name; mv -T /y$name /$name; done',
    });
    besideLxc('mount', '-t', 'tmpfs', 'none', mounted);
    try {
      besideLxc('touch', `${mounted}/shown`);
      // Of mounts that are asked for: container-overlay-links.test.ts.
      const words = [kept, ...HIDE, '--home', 'tmp'];
      const found = await askInside(lxc, words, {
        links: `readlink ${ground}/home ${mounted}`,
        top: 'for name in dev proc sys tmp run; do stat -c %F /$name; done | sort -u',
        shown: `ls ${mounted}`,
        keys: `find ${ground} -xdev -type f -exec cat {} + 2>/dev/null`,
      });
      assert.equal(found.links, `${victims}/deep\n${victims}`);
      assert.equal(found.top, 'directory');
      assert.doesNotMatch(found.shown, /shown/);
      assert.doesNotMatch(found.keys, /secret of/);
    } finally {
      besideLxc('umount', mounted);
    }
    assert.equal(fingerprint(ground), earlier);
  });

  it('shows nothing that is hidden, under no other name', async () => {
    const kept = `--overlay=${shelf}/hidden`;
    const attacks = {
      names: `cd ${home} && ln netrc linked; mv netrc other; cp netrc copied; mv private public; mv moved/key moved/other`,
      above: `mv ${home} ${ground}/away; cp -r ${home} ${ground}/copy`,
      write: `echo x >> ${home}/netrc; chmod 777 ${home}/private; touch ${home}/private/new`,
    };
    await askInside(lxc, [kept, ...HIDE], attacks);
    for (const hide of [HIDE, []]) {
      const found = await askInside(lxc, [kept, ...hide], {
        keys: `find ${ground} -xdev -type f ! -path '${home}/*' -exec cat {} + 2>/dev/null`,
        shown: `cat ${home}/netrc ${home}/private/key ${home}/moved/key 2>&1`,
      });
      assert.doesNotMatch(found.keys, /secret of/);
      // Where it is hidden no more, it is where it was: it could be read all the time.
      assert.equal(/secret of/.test(found.shown), hide.length === 0);
    }
  });

  it('becomes no program of root’s, and gives none of root’s files to others', async () => {
    const [plain, privileged] = [`--overlay=${shelf}/plain`, `--overlay=${shelf}/privileged`];
    const run = (...words: string[]) => runSandbox(['-c', lxc.uri, ...words], lxc.options);
    assertRun(await run(plain, '--', 'sh', '-c', 'rm -f /usr/local/bin/x; cp /bin/true /usr/local/bin/x'), 0, '');
    assertFailure(await run(plain, '-p', '--', 'true'), /its programs would be root of this host/);
    const copied = await run(privileged, '-p', '--', 'sh', '-c', `echo more >> ${ground}/secret; cat ${ground}/secret`);
    assert.equal(copied.out, `${KEY}\nmore\n`);
    assertFailure(await run(privileged, '--', 'cat', `${ground}/secret`), /may have files of this host/);
  });

  for (const user of ['root', 'nobody'])
    it(`is no program that the init runs, also in a start that is measured, as ${user}`, async () => {
      const kept = `--overlay=${shelf}/measured-${user}`;
      const out = join(shelf, `seen-${user}`);
      mkdirSync(out);
      // Root of the host cannot make files in a mount with other ids, and can write to those that are there.
      writeFileSync(join(out, 'ran'), '');
      chmodSync(join(out, 'ran'), 0o666);
      const trap = '#!/bin/bash\\nid -u >> /mnt/ran\\n';
      const made = await askInside(lxc, [kept], {
        traps: `for name in awk dmesg dash; do rm /usr/bin/$name; printf '${trap}' > /usr/bin/$name; chmod 755 /usr/bin/$name; done; echo made`,
      });
      assert.equal(made.traps, 'made');
      const words = ['-c', lxc.uri, kept, '-S', user, '-m', `host-bind:/mnt=${out}`, '--', '/usr/bin/true'];
      const env = { VIRT_SANDBOX_TRACE: `guest:${join(shelf, 'trace')}` };
      assertRun(await runSandbox(words, { ...lxc.options, env }), 0, '');
      assert.equal(readFileSync(join(out, 'ran'), 'utf8'), '');
      // It is a trap all the same.
      const sprung = await runSandbox([...words.slice(0, -1), 'sh', '-c', 'true'], lxc.options);
      assertRun(sprung, 0, '');
      assert.equal(readFileSync(join(out, 'ran'), 'utf8'), user === 'root' ? '0\n' : `${NOBODY}\n`);
    });

  it('is nothing that another mount writes to', async () => {
    const kept = join(shelf, 'mounted');
    assertRun(await runSandbox(['-c', lxc.uri, `--overlay=${kept}`, '--', 'true'], lxc.options), 0, '');
    for (const source of [shelf, join(kept, 'layers'), '/']) {
      const words = ['-c', lxc.uri, '-m', `host-bind:/mnt=${source}`, `--overlay=${kept}`, '--', 'true'];
      assertFailure(await runSandbox(words, lxc.options), /can write to the directory .* by the mount on \/mnt/);
    }
    assert.deepEqual(readdirSync(join(kept, 'layers')).sort(), ['lock', 'mounts']);
  });

  it('is damaged by root of the host only, which is said', async () => {
    const kept = join(shelf, 'damaged');
    const run = () => runSandbox(['-c', lxc.uri, `--overlay=${kept}`, '--', 'true'], lxc.options);
    assertRun(await run(), 0, '');
    const mounts = join(kept, 'layers/mounts');
    rmSync(mounts, { recursive: true });
    execFileSync('ln', ['-s', victims, mounts]);
    const earlier = fingerprint(victims);
    assertFailure(await run(), /is damaged: layers\/mounts is no directory/);
    assert.equal(readlinkSync(mounts), victims);
    assert.equal(fingerprint(victims), earlier);
  });
});
