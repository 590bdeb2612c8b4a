/** A root to write to: --overlay, in machines. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { ACCEL } from '../helpers/acceleration.js';
import { embedded, system } from '../helpers/connections.js';
import { unlessProgram } from '../helpers/images.js';
import { ask } from '../helpers/inside.js';
import { assertNothingLeft, uniqueName } from '../helpers/leftovers.js';
import { OrdinaryUser, unlessOrdinaryUser } from '../helpers/ordinary-user.js';
import { makeRoot, unlessBusybox } from '../helpers/roots.js';
import { assertFailure, assertRun, runSandbox } from '../helpers/run.js';
import { scratchDirectory } from '../helpers/scratch.js';
import { bakeSnapshot, privateStore } from '../helpers/snapshots.js';
import { poolOf } from '../helpers/taking.js';
import { fingerprint } from '../helpers/tree-listing.js';

/** Not in /tmp, which a sandbox has of its own. */
const ground = mkdtempSync('/var/tmp/virt-sandbox-overlay-');
const NOBODY = 65_534;
/** A tree that sandboxes change, of root's. */
const tree = join(ground, 'tree');
/** Of the host they change these too. Others may change what is beside. */
const MADE = ['/etc/default/new', '/made', '/usr/bin/overlay-sayer', '/etc/overlay-sayer', '/usr/local/bin/tool'];

function hostNow(): string {
  assert.deepEqual(MADE.filter(existsSync), []);
  assert.ok(existsSync('/usr/local/share') && existsSync('/etc/passwd'));
  return fingerprint(ground);
}

before(() => {
  chmodSync(ground, 0o755);
  for (const name of ['tree', 'tree/sub', 'tree/sub/deep', 'tree/gone']) mkdirSync(join(ground, name), { mode: 0o755 });
  for (const name of ['file', 'removed', 'replaced', 'sub/file', 'sub/deep/file', 'gone/file'])
    writeFileSync(join(tree, name), `host ${name}\n`, { mode: 0o644 });
  linkSync(join(tree, 'file'), join(tree, 'second'));
  symlinkSync('file', join(tree, 'link'));
});
after(() => rmSync(ground, { recursive: true, force: true }));

/** What root with capabilities does, as shell commands. */
const WRITES = {
  root: 'awk \'$2 == "/" {print $3, substr($4, 1, 2)}\' /proc/mounts; stat -c "%a %u %g" /',
  append: `cd ${tree} && echo more >> file && cat file link second`,
  modes: `cd ${tree} && chown 12:34 file && chmod 4750 file && stat -c '%a %u %g' file`,
  remove: `cd ${tree} && rm removed && rm -r gone && ls removed gone 2>/dev/null; mkdir gone && ls -A gone`,
  replace: `cd ${tree} && rm replaced && mkdir replaced && touch replaced/x && ls replaced`,
  rename: `cd ${tree} && perl -e 'rename("sub", "moved") or die $!' && find moved sub 2>/dev/null; cat moved/deep/file`,
  links: `cd ${tree} && ln moved/file hard && echo again >> hard && cat moved/file && stat -c %h hard`,
  special: `cd ${tree} && mkfifo pipe && mknod null c 1 3 && echo x > null && ls -l null | cut -c1`,
  attributes: `cd ${tree} && touch -d 2001-01-01 second && stat -c %Y second`,
  device: `cd ${tree} && stat -c %d file second moved moved/deep/file / /etc | sort -u | wc -l`,
  system:
    'echo x > /etc/default/new && rm -r /usr/local/share && mkdir -p /made/deep && touch /made/deep/x && ls /made/deep',
  usual: 'for path in /tmp /run /dev/shm; do stat -f -c %T $path; done; ls -A /tmp; grep -c overlay /proc/mounts',
} as const;

const WRITTEN = {
  root: 'overlay rw\n755 0 0',
  append: 'host file\nmore\nhost file\nmore\nhost file',
  modes: '4750 12 34',
  remove: '',
  replace: 'x',
  rename: 'moved\nmoved/file\nmoved/deep\nmoved/deep/file\nhost sub/deep/file',
  links: 'host sub/file\nagain\n2',
  special: 'c',
  attributes: `${Date.UTC(2001, 0, 1) / 1000}`,
  device: '1',
  system: 'x',
  usual: 'tmpfs\ntmpfs\ntmpfs\n1',
};

for (const way of [embedded, system]) {
  it(`root writes everywhere over ${way.uri}, and the host keeps what it has`, {
    skip: way.skip || unlessProgram('perl'),
  }, async () => {
    const name = uniqueName();
    const earlier = hostNow();
    const found = await ask(['-c', way.uri, ...ACCEL, '-n', name, '--boot', 'cold', '--overlay', '-p'], WRITES);
    assert.deepEqual(
      { ...found, rename: found.rename.split('\n').sort().join('\n') },
      {
        ...WRITTEN,
        rename: WRITTEN.rename.split('\n').sort().join('\n'),
      },
    );
    assert.equal(hostNow(), earlier);
    await assertNothingLeft(name, way.where);
  });
}

describe('packages', { skip: embedded.skip || unlessProgram('dpkg-deb', 'apt-get', 'make') }, () => {
  it('dpkg, apt-get and make install programs, and the host has none of them', async () => {
    const build = join(ground, 'package');
    mkdirSync(join(build, 'DEBIAN'), { recursive: true });
    mkdirSync(join(build, 'usr/bin'), { recursive: true });
    const control = ['Package: overlay-sayer', 'Version: 1', 'Architecture: all', 'Maintainer: x <x@example.org>'];
    writeFileSync(join(build, 'DEBIAN/control'), `${[...control, 'Description: says'].join('\n')}\n`);
    writeFileSync(join(build, 'DEBIAN/postinst'), '#!/bin/sh\necho set up > /etc/overlay-sayer\n', { mode: 0o755 });
    writeFileSync(join(build, 'usr/bin/overlay-sayer'), '#!/bin/sh\ncat /etc/overlay-sayer\n', { mode: 0o755 });
    execFileSync('dpkg-deb', ['--root-owner-group', '-b', build, join(ground, 'sayer.deb')], { stdio: 'ignore' });
    const source = join(ground, 'source');
    mkdirSync(source);
    writeFileSync(join(source, 'tool'), '#!/bin/sh\necho made\n', { mode: 0o755 });
    const rules = [
      'install:',
      '\tinstall -D tool $(PREFIX)/bin/tool',
      '\tinstall -D -m 644 tool $(PREFIX)/share/tool/tool',
    ];
    writeFileSync(join(source, 'Makefile'), `PREFIX = /usr/local\n${rules.join('\n')}\n`);
    const earlier = hostNow();
    const found = await ask(['-c', embedded.uri, ...ACCEL, '--overlay', '-p'], {
      dpkg: `dpkg -i ${ground}/sayer.deb >/tmp/log 2>&1 && overlay-sayer && dpkg-query -W overlay-sayer`,
      remove: 'dpkg -P overlay-sayer >/tmp/log 2>&1 && ls /usr/bin/overlay-sayer',
      apt: `apt-get install -y ${ground}/sayer.deb >/tmp/log 2>&1 && overlay-sayer`,
      make: `make -s -C ${source} install && tool && ls /usr/local/share/tool`,
    });
    assert.deepEqual(found, {
      dpkg: 'set up\noverlay-sayer\t1',
      remove: "ls: cannot access '/usr/bin/overlay-sayer': No such file or directory",
      apt: 'set up',
      make: 'made\ntool',
    });
    assert.equal(hostNow(), earlier);
    assert.equal(readFileSync('/var/lib/dpkg/status', 'utf8').includes('overlay-sayer'), false);
  });
});

describe('an overlay', { skip: embedded.skip }, () => {
  const args = ['-c', embedded.uri, ...ACCEL, '--overlay', '-p'];

  it('is full at half of the memory, and what is there stays usable', async () => {
    const found = await ask([...args, '--memory', '256M'], {
      size: 'df -k / | tail -n 1 | tr -s " " | cut -d" " -f2; grep MemTotal /proc/meminfo | tr -dc 0-9',
      full: 'head -c 128M /dev/zero > /big',
      // To change a file of the host it has to be copied, for which there is no room.
      copy: 'echo x >> /usr/bin/perl',
      after: 'rm /big && echo x > /small && cat /small',
    });
    const [size = 0, total = 0] = found.size.split('\n').map(Number);
    assert.ok(total > 128 * 1024 && Math.abs(size - total / 2) < 8, found.size);
    assert.match(found.full, /No space left on device$/);
    assert.match(found.copy, /No space left on device$/);
    assert.equal(found.after, 'x');
  });

  it('lies below mounts, whose targets may be missing, and mounts are written to as ever', {
    skip: unlessProgram('virtiofsd'),
  }, async (t) => {
    const kept = scratchDirectory(t);
    const shown = scratchDirectory(t);
    writeFileSync(join(shown, 'file'), 'shown\n');
    const mounts = [
      `host-bind:/made/up=${kept}`,
      `host-bind:/etc=${shown},ro`,
      'ram:/opt=1M',
      'guest-bind:/srv/new=/usr/lib',
    ];
    const found = await ask([...args, ...mounts.flatMap((mount) => ['-m', mount])], {
      kept: 'echo out > /made/up/file; echo in > /made/file; ls /made',
      shown: 'ls -A /etc; echo x > /etc/file',
      opt: 'stat -f -c %T /opt',
      bound: 'touch /srv/new/through; ls /usr/lib/through',
    });
    assert.deepEqual([found.kept, found.opt, found.bound], ['file\nup', 'tmpfs', '/usr/lib/through']);
    assert.match(found.shown, /^file\n.*(Read-only file system|Permission denied)$/);
    assert.equal(readFileSync(join(kept, 'file'), 'utf8'), 'out\n');
    assert.deepEqual(readdirSync(kept), ['file']);
  });

  it('is over the directory of --root too, which keeps its mode and owners', { skip: unlessBusybox }, async (t) => {
    const root = makeRoot(t, 'dev', 'proc', 'sys', 'var');
    chmodSync(root, 0o1755);
    chownSync(root, 12, 34);
    const earlier = fingerprint(root);
    const found = await ask(
      [...args, '-r', root],
      {
        names: 'busybox stat -c "%a %u %g" /; busybox ls / | busybox tr "\\n" " "',
        write: 'echo x > /var/file; busybox rm /bin/sh; busybox ls /bin /var',
      },
      { shell: ['/bin/busybox', 'sh'] },
    );
    assert.equal(found.names, '1755 12 34\nbin dev proc run sys tmp var');
    assert.equal(found.write, '/bin:\nbusybox\n\n/var:\nfile');
    assert.equal(fingerprint(root), earlier);
  });

  it('shows what the host adds while it runs, where nothing was written', async () => {
    const late = join(ground, 'late');
    mkdirSync(late);
    const { Sandbox } = await import('../../src/index.js');
    await using sandbox = await Sandbox.create({ connect: embedded.uri, overlay: true, privileged: true });
    await sandbox.run(`ls ${late}; echo x > ${ground}/other`);
    writeFileSync(join(late, 'file'), 'new\n');
    assert.equal((await sandbox.run(`cat ${late}/file`)).stdout, 'new\n');
    rmSync(late, { recursive: true });
  });

  it('is refused without a snapshot that has it, and the remedy bakes one that serves', {
    skip: unlessProgram('perl'),
  }, async (t) => {
    const { env, remove } = privateStore();
    t.after(remove);
    await bakeSnapshot(['-c', embedded.uri], { env });
    const warm = [...args, '--boot', 'warm'];
    const refused = await runSandbox([...warm, '--', 'true'], { env });
    assertFailure(refused, /was baked without overlay/, /bake create --warm --with overlay/);
    await bakeSnapshot(['-c', embedded.uri, '--with', 'overlay'], { env });
    const earlier = hostNow();
    const found = await ask(warm, WRITES, { env });
    assert.deepEqual({ ...found, rename: '' }, { ...WRITTEN, rename: '' });
    assert.equal(hostNow(), earlier);
    // It serves sandboxes without an overlay too.
    const plain = ['-c', embedded.uri, ...ACCEL, '--boot', 'warm', '--', 'sh', '-c', 'touch /x || echo ro'];
    assert.equal((await runSandbox(plain, { env })).out, 'ro\n');
  });

  it('is each sandbox of a pool its own', async (t) => {
    const { take } = await poolOf(t, { size: 2, overlay: true, privileged: true });
    const [one, two] = await Promise.all([take(), take()]);
    assert.ok(one && two);
    assert.equal((await one.run('echo one > /etc/motd; rm /etc/passwd; cat /etc/motd')).stdout, 'one\n');
    const other = await two.run('cat /etc/motd 2>/dev/null | grep -cx one; head -n 1 /etc/passwd | cut -d: -f1');
    assert.equal(other.stdout, '0\nroot\n');
  });

  it('is named in what a sandbox is saved as', async (t) => {
    const file = join(scratchDirectory(t), 'sandbox.cfg');
    assertRun(await runSandbox([...args, '--save-config', file, '--', 'sh', '-c', 'touch /x && echo written']), 0, '');
    assertRun(await runSandbox(['-c', embedded.uri, ...ACCEL, '--config', file]), 0, 'written\n');
  });
});

describe('of an ordinary user', { skip: unlessOrdinaryUser() }, () => {
  let user: OrdinaryUser;
  before(async () => {
    user = await OrdinaryUser.create();
  });
  after(() => user?.end());

  for (const uri of ['qemu:///session', embedded.uri]) {
    it(`gives over ${uri} the user what is the user's, and root inside everything`, async () => {
      const own = join(ground, `own-${uri.slice(-5)}`);
      for (const name of ['', 'sub']) mkdirSync(join(own, name), { recursive: true, mode: 0o755 });
      writeFileSync(join(own, 'file'), 'of the host\n');
      for (const name of ['', 'sub', 'file']) chownSync(join(own, name), NOBODY, NOBODY);
      const earlier = hostNow();
      const name = uniqueName();
      const args = ['-c', uri, ...ACCEL, '-n', name, '--overlay'];
      const found = await ask(
        args,
        {
          own: `cd ${own} && echo more >> file && cat file && mv sub other && mkdir new && stat -c %U file other new`,
          others: ['touch /made', 'rm -f /etc/passwd', 'chmod 777 /etc', 'sh -c "echo x >> /etc/passwd"']
            .map((command) => `${command} 2>/dev/null || echo no`)
            .join('; '),
        },
        user.options,
      );
      assert.equal(found.own, 'of the host\nmore\nnobody\nnobody\nnobody');
      assert.equal(found.others, 'no\nno\nno\nno');
      const root = await ask(
        [...args, '-p'],
        {
          write: `cd ${own} && echo more >> file && chown 3:4 file && stat -c '%u %g' file; touch /made && ls /made`,
          system: 'rm /etc/passwd && echo x > /etc/passwd && cat /etc/passwd',
        },
        user.options,
      );
      assert.deepEqual(root, { write: '3 4\n/made', system: 'x' });
      assert.equal(hostNow(), earlier);
      await assertNothingLeft(name, uri === embedded.uri ? { state: user.home } : user.where);
    });
  }
});
