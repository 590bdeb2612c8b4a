/** A root to write to, kept in a directory: --overlay=DIR. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { valueOr } from '../../src/util/errors.js';
import { ACCEL } from '../helpers/acceleration.js';
import { embedded, system } from '../helpers/connections.js';
import { ctl, said, startDetached } from '../helpers/ctl.js';
import { unlessProgram } from '../helpers/images.js';
import { ask } from '../helpers/inside.js';
import { assertNothingLeft, uniqueName } from '../helpers/leftovers.js';
import { OrdinaryUser, unlessOrdinaryUser } from '../helpers/ordinary-user.js';
import { makeRoot, unlessBusybox } from '../helpers/roots.js';
import { assertFailure, runSandbox } from '../helpers/run.js';
import { scratchDirectory, unlessRoot } from '../helpers/scratch.js';
import { bakeSnapshot, privateStore } from '../helpers/snapshots.js';
import { fingerprint } from '../helpers/tree-listing.js';

const skip = embedded.skip || unlessRoot('an ordinary user has none') || unlessProgram('virtiofsd');

/** Not in /tmp, which a sandbox has of its own. What sandboxes write is not in the ground that must stay as it is. */
const ground = mkdtempSync('/var/tmp/virt-sandbox-overlay-directory-');
const shelf = mkdtempSync('/var/tmp/virt-sandbox-overlay-kept-');
const tree = join(ground, 'tree');
/** Of the host they change these too. Others may change what is beside. */
const MADE = ['/usr/bin/kept-sayer', '/etc/kept-sayer', '/usr/local/bin/kept-tool', '/usr/local/share/kept-tool'];

function hostNow(): string {
  assert.deepEqual(MADE.filter(existsSync), []);
  // A host without dpkg has no such file.
  assert.equal(valueOr(() => readFileSync('/var/lib/dpkg/status', 'utf8'), '').includes('kept-sayer'), false);
  return fingerprint(ground);
}

function makePackage(): void {
  const build = join(ground, 'package');
  for (const name of ['DEBIAN', 'usr/bin']) mkdirSync(join(build, name), { recursive: true });
  const control = ['Package: kept-sayer', 'Version: 1', 'Architecture: all', 'Maintainer: x <x@example.org>'];
  writeFileSync(join(build, 'DEBIAN/control'), `${[...control, 'Description: says'].join('\n')}\n`);
  writeFileSync(join(build, 'DEBIAN/postinst'), '#!/bin/sh\necho set up > /etc/kept-sayer\n', { mode: 0o755 });
  writeFileSync(join(build, 'usr/bin/kept-sayer'), '#!/bin/sh\ncat /etc/kept-sayer\n', { mode: 0o755 });
  execFileSync('dpkg-deb', ['--root-owner-group', '-b', build, join(ground, 'sayer.deb')], { stdio: 'ignore' });
  const source = join(ground, 'source');
  mkdirSync(source);
  writeFileSync(join(source, 'tool'), '#!/bin/sh\necho made\n', { mode: 0o755 });
  const rules = [
    'install:',
    '\tinstall -D tool $(PREFIX)/bin/kept-tool',
    '\tinstall -D tool $(PREFIX)/share/kept-tool',
  ];
  writeFileSync(join(source, 'Makefile'), `PREFIX = /usr/local\n${rules.join('\n')}\n`);
}

before(() => {
  chmodSync(ground, 0o755);
  for (const name of ['', 'sub', 'sub/deep', 'gone', 'fresh', 'late']) mkdirSync(join(tree, name), { mode: 0o755 });
  for (const name of ['file', 'removed', 'plain', 'sub/file', 'sub/deep/file', 'gone/file', 'fresh/file'])
    writeFileSync(join(tree, name), `host ${name}\n`, { mode: 0o644 });
  symlinkSync('file', join(tree, 'link'));
});
after(() => {
  for (const directory of [ground, shelf]) rmSync(directory, { recursive: true, force: true });
});

/** What a first sandbox does, as root with capabilities. */
const WRITES = {
  root: 'awk \'$2 == "/" {print $3, substr($4, 1, 2)}\' /proc/mounts; stat -c "%a %u %g" /',
  append: `cd ${tree} && echo more >> file && chown 12:34 file && chmod 4750 file && stat -c '%a %u %g' file`,
  remove: `cd ${tree} && rm removed && rm -r gone fresh && mkdir fresh && ls -A fresh`,
  // rename(2) answers EXDEV, so that no path of the host's tree is kept.
  rename: `cd ${tree} && perl -e 'rename("sub", "moved") or print $!' && mv sub moved && ls -R moved | tail -n 1`,
  links: `cd ${tree} && ln file hard && ln -s nowhere new-link && chown -h 5:6 link new-link && stat -c %h hard`,
  special: `cd ${tree} && mkfifo pipe && perl -MSocket -e 'socket(S,AF_UNIX,SOCK_STREAM,0); bind(S,pack_sockaddr_un("socket"))' && ls`,
  device: `cd ${tree} && mknod null c 1 3`,
  capability: 'cp /bin/true /usr/local/bin/kept-tool && setcap cap_net_raw+ep /usr/local/bin/kept-tool',
  attribute: `cd ${tree} && python3 -c 'import os; os.setxattr("plain", "user.note", b"x"); print(os.listxattr("plain"))'`,
  sparse: `cd ${tree} && truncate -s 1G big && printf x | dd of=big seek=1073741823 bs=1 conv=notrunc status=none && stat -c %s big && [ $(stat -c %b big) -lt 20000 ] && echo sparse`,
} as const;

/** What a second one finds. */
const FINDS = {
  append: `cd ${tree} && cat file && stat -c '%a %u %g %h' file`,
  remove: `cd ${tree} && ls -d removed gone 2>/dev/null; ls -A fresh`,
  rename: `cd ${tree} && ls -d sub 2>/dev/null; cat moved/deep/file`,
  links: `cd ${tree} && stat -c '%N %u %g' link new-link`,
  special: `cd ${tree} && stat -c %F pipe socket`,
  capability: 'getcap /usr/local/bin/kept-tool',
  attribute: `cd ${tree} && python3 -c 'import os; print(os.getxattr("plain", "user.note"))'`,
  sparse: `cd ${tree} && stat -c %s big && tail -c 1 big`,
  // One device number, and no two files have one inode number.
  device: `cd ${tree} && stat -c %d . file link fresh moved/deep/file / /etc | sort -u | wc -l; find . -type f ! -links +1 -printf '%i\\n' | sort | uniq -d`,
  // What the host has changed since.
  lower: `cd ${tree} && cat plain late/new; cat sub/new fresh/new gone/new 2>&1 | sed 's/.*: //'`,
  layers: "grep -c ' /overlay' /proc/mounts; ls -d /overlay /proc/1/root/overlay 2>/dev/null",
  messages: "dmesg | grep 'overlayfs: ' | grep -v -e 'does not support tmpfile' -e 'xino.* enabled'",
} as const;

const FOUND = {
  append: 'host file\nmore\n4750 12 34 2',
  remove: '',
  rename: 'host sub/deep/file',
  links: "'link' -> 'file' 5 6\n'new-link' -> 'nowhere' 5 6",
  special: 'fifo\nsocket',
  capability: '/usr/local/bin/kept-tool cap_net_raw=ep',
  attribute: "b'x'",
  sparse: '1073741824\nx',
  device: '1',
  lower: 'host plain\nlater\nNo such file or directory\nNo such file or directory\nNo such file or directory',
  layers: '0',
  messages: '',
};

/** The host changes its tree between two runs. */
function changeTree(): () => void {
  const names = ['late/new', 'sub/new', 'fresh/new', 'gone/new'];
  for (const name of names) writeFileSync(join(tree, name), 'later\n');
  return () => {
    for (const name of names) rmSync(join(tree, name));
  };
}

describe('an overlay in a directory', { skip }, () => {
  const args = ['-c', embedded.uri, ...ACCEL, '-p'];

  for (const [way, rootFs] of [
    [embedded, '9p'],
    [embedded, 'virtiofs'],
    [system, '9p'],
  ] as const)
    it(`is found again by the next sandbox, over ${way.uri} and ${rootFs}, and the host keeps what it has`, {
      skip: way.skip || unlessProgram('perl', 'setcap', 'python3'),
    }, async () => {
      const kept = mkdtempSync(`${shelf}/run-`);
      const earlier = hostNow();
      const name = uniqueName();
      const options = ['-c', way.uri, ...ACCEL, '-n', name, '--root-fs', rootFs, '-p', `--overlay=${kept}`];
      const written = await ask([...options, '--boot', 'cold'], WRITES);
      assert.deepEqual(
        { ...written, special: '', device: '' },
        {
          root: 'overlay rw\n755 0 0',
          append: '4750 12 34',
          remove: '',
          rename: 'Invalid cross-device linkfile',
          links: '2',
          special: '',
          device: '',
          capability: '',
          attribute: "['user.note']",
          sparse: '1073741824\nsparse',
        },
      );
      assert.match(written.device, /Operation not permitted$/);
      assert.equal(hostNow(), earlier);
      const restore = changeTree();
      try {
        const changed = hostNow();
        assert.deepEqual(await ask(options, FINDS), FOUND);
        assert.equal(hostNow(), changed);
      } finally {
        restore();
      }
      // The files have their owners on the host, too.
      const { uid, gid, mode } = lstatSync(join(kept, 'layers/upper', tree, 'file'));
      assert.deepEqual([uid, gid, mode & 0o7777], [12, 34, 0o4750]);
      await assertNothingLeft(name, way.where);
    });

  it('keeps what dpkg, apt-get and make install, and that they are removed', {
    skip: unlessProgram('dpkg-deb', 'apt-get', 'make'),
  }, async () => {
    makePackage();
    const earlier = hostNow();
    const options = [...args, `--overlay=${shelf}/packages`];
    const installed = await ask(options, {
      dpkg: `dpkg -i ${ground}/sayer.deb >/tmp/log 2>&1 && kept-sayer || cat /tmp/log`,
      make: `make -s -C ${ground}/source install && kept-tool`,
    });
    assert.deepEqual(installed, { dpkg: 'set up', make: 'made' });
    const found = await ask(options, {
      dpkg: 'kept-sayer && dpkg-query -W kept-sayer && dpkg -P kept-sayer >/tmp/log 2>&1 || cat /tmp/log',
      make: 'kept-tool && rm /usr/local/bin/kept-tool',
      apt: `apt-get install -y ${ground}/sayer.deb >/tmp/log 2>&1 && kept-sayer || cat /tmp/log`,
    });
    assert.deepEqual(found, { dpkg: 'set up\nkept-sayer\t1', make: 'made', apt: 'set up' });
    const json: unknown = JSON.parse(await said(['diff', '--json', `${shelf}/packages`]));
    const { added, deleted } = json as Record<'added' | 'deleted', string[]>;
    assert.deepEqual(
      added.filter((path) => path.includes('kept')).filter((path) => !path.startsWith('/var/')),
      ['/etc/kept-sayer', '/usr/bin/kept-sayer', '/usr/local/share/kept-tool'],
    );
    assert.deepEqual(deleted, []);
    const last = await ask(options, {
      apt: 'kept-sayer',
      make: 'ls /usr/local/bin/kept-tool /usr/local/share/kept-tool',
    });
    assert.equal(last.apt, 'set up');
    assert.match(last.make, /kept-tool': No such file or directory\n\/usr\/local\/share\/kept-tool$/);
    assert.equal(hostNow(), earlier);
  });

  it('is for one sandbox at a time, and free when that has ended, however it has', async (t) => {
    const kept = `${shelf}/one`;
    const name = await startDetached(embedded.uri, { options: ['-p', `--overlay=${kept}`] });
    // After a failure; else it has ended.
    t.after(() => ctl(['kill', name]));
    const { connectSandbox } = await import('../../src/control/connect.js');
    const sandbox = await connectSandbox(name);
    const { stdout } = await sandbox.run(['sh', '-c', 'echo half > /half && sync && echo done']);
    assert.equal(stdout, 'done\n');
    const second = await runSandbox([...args, `--overlay=${kept}`, '--', 'true']);
    assertFailure(second, new RegExp(`is in use by the sandbox ${name}`), /end that sandbox first/);
    for (const word of [name, kept]) assert.equal(await said(['diff', word]), 'A /half\n');
    await sandbox.close();
    // Its supervisor ends QEMU, and virtiofsd with it.
    const [owner] = readFileSync(`/run/libvirt-sandbox/${name}/owner`, 'utf8').split(' ');
    process.kill(Number(owner), 'SIGKILL');
    const next = await ask([...args, `--overlay=${kept}`], { half: 'cat /half; echo more >> /half; cat /half' });
    assert.equal(next.half, 'half\nhalf\nmore');
    await assertNothingLeft(name, embedded.where);
  });

  it('is one sandbox’s, of three that start at once', async (t) => {
    const go = scratchDirectory(t);
    const options = ['--boot', 'cold', `--overlay=${shelf}/race`, '-m', `host-bind:/mnt=${go}`];
    const command = ['sh', '-c', 'until [ -e /mnt/go ]; do sleep 0.1; done'];
    let refused = 0;
    const run = async () => {
      const result = await runSandbox([...args, ...options, '--', ...command]);
      // The one that has it waits until both others have failed.
      if (result.code !== 0) refused += 1;
      if (refused === 2) writeFileSync(join(go, 'go'), '');
      return result;
    };
    const all = await Promise.all([run(), run(), run()]);
    assert.equal(refused, 2);
    for (const result of all) if (result.code !== 0) assertFailure(result, /is in use by the sandbox/);
  });

  it('starts from a snapshot that has the module', async (t) => {
    const { env, remove } = privateStore();
    t.after(remove);
    await bakeSnapshot(['-c', embedded.uri, '--with', 'overlay'], { env });
    const options = [...args, '--boot', 'warm', `--overlay=${shelf}/warm`];
    assert.equal((await ask(options, { write: 'echo x > /kept; cat /kept' }, { env })).write, 'x');
    assert.equal((await ask(options, { write: 'echo y >> /kept; cat /kept' }, { env })).write, 'x\ny');
  });

  it('belongs to the root that it was made over', { skip: unlessBusybox }, async (t) => {
    const root = makeRoot(t, 'dev', 'proc', 'sys', 'var');
    const options = [...args, `--overlay=${shelf}/other`];
    const shell = { shell: ['/bin/busybox', 'sh'] };
    const earlier = fingerprint(root);
    const facts = { write: 'busybox rm /bin/sh; echo x > /var/file; busybox ls /bin /var' };
    assert.equal((await ask([...options, '-r', root], facts, shell)).write, '/bin:\nbusybox\n\n/var:\nfile');
    assertFailure(await runSandbox([...options, '--', 'true']), /belongs to the root/, new RegExp(`--root ${root}`));
    assert.equal(fingerprint(root), earlier);
  });

  it('lets a user inside write what is the user’s', async () => {
    const own = join(ground, 'own');
    mkdirSync(own);
    execFileSync('chown', ['nobody', own]);
    const options = ['-c', embedded.uri, ...ACCEL, '-S', 'nobody', `--overlay=${shelf}/user`];
    const found = await ask(options, { own: `echo x > ${own}/file && stat -c %U ${own}/file`, other: 'touch /made' });
    assert.equal(found.own, 'nobody');
    assert.match(found.other, /Permission denied$/);
    assert.equal((await ask(options, { own: `cat ${own}/file` })).own, 'x');
    rmSync(own, { recursive: true });
  });
});

describe('of an ordinary user', { skip: skip || unlessOrdinaryUser() }, () => {
  let user: OrdinaryUser;
  before(async () => {
    user = await OrdinaryUser.create();
  });
  after(() => user?.end());

  it('is refused, with what there is', async () => {
    const result = await runSandbox(['-c', embedded.uri, `--overlay=${user.home}/kept`, '--', 'true'], user.options);
    assertFailure(result, /only if root starts it/, /start it as root, or use --overlay/);
    assert.equal(existsSync(`${user.home}/kept`), false);
  });
});
