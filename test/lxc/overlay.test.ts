/** A root to write to: --overlay, in containers. */
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
import { besideLxc, lxc } from '../helpers/connections.js';
import { unlessProgram } from '../helpers/images.js';
import { ask, askInside } from '../helpers/inside.js';
import { assertNothingLeft, exceptLogs, processesWith, uniqueName } from '../helpers/leftovers.js';
import { makeRoot, unlessBusybox } from '../helpers/roots.js';
import { assertFailure, assertRun, runSandbox, startSandbox } from '../helpers/run.js';
import { scratchDirectory } from '../helpers/scratch.js';
import { fingerprint } from '../helpers/tree-listing.js';

/** Not in /tmp, which a sandbox has of its own. */
const ground = mkdtempSync('/var/tmp/virt-sandbox-overlay-');
const NOBODY = 65_534;
/** A tree of root's that sandboxes change. */
const tree = join(ground, 'tree');
/** Names that nothing on the host has. */
const OWN = uniqueName();
const NEW = `/${OWN}-made`;
/** They make these too. */
const MADE = [`/etc/default/${OWN}`, NEW];
const PRIVILEGED = /^virt-sandbox: warning: a privileged container is no barrier/;

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

/** What root does, as shell commands. */
const WRITES = {
  root: 'awk \'$2 == "/" {print $3, substr($4, 1, 2)}\' /proc/mounts; stat -c "%a %u %g" /',
  owners: 'stat -c "%U %G" /etc/passwd /etc/shadow',
  append: `cd ${tree} && echo more >> file && cat file link second`,
  modes: `cd ${tree} && chmod 750 file && stat -c '%a %u %g' file`,
  remove: `cd ${tree} && rm removed && rm -r gone && ls removed gone 2>/dev/null; mkdir gone && ls -A gone`,
  replace: `cd ${tree} && rm replaced && mkdir replaced && touch replaced/x && ls replaced`,
  rename: `cd ${tree} && perl -e 'rename("sub", "moved") or die $!' && find moved sub 2>/dev/null | sort; cat moved/deep/file`,
  links: `cd ${tree} && ln moved/file hard && echo again >> hard && cat moved/file && stat -c %h hard`,
  pipe: `cd ${tree} && mkfifo pipe && ls -l pipe | cut -c1`,
  attributes: `cd ${tree} && touch -d 2001-01-01 second && stat -c %Y second`,
  device: `cd ${tree} && stat -c %d file second moved moved/deep/file / /etc | sort -u | wc -l`,
  system:
    `echo x > /etc/default/${OWN} && rm -r /usr/local/share && ` +
    `mkdir -p ${NEW}/deep && touch ${NEW}/deep/x && ls ${NEW}/deep`,
  run: `cp /bin/true ${tree}/program && ${tree}/program && echo ran`,
  usual: 'for path in /tmp /run /dev/shm; do stat -f -c %T $path; done; ls -A /tmp',
} as const;

const WRITTEN = {
  root: 'overlay rw\n755 0 0',
  owners: 'root root\nroot shadow',
  append: 'host file\nmore\nhost file\nmore\nhost file',
  modes: '750 0 0',
  remove: '',
  replace: 'x',
  rename: 'moved\nmoved/deep\nmoved/deep/file\nmoved/file\nhost sub/deep/file',
  links: 'host sub/file\nagain\n2',
  pipe: 'p',
  attributes: `${Date.UTC(2001, 0, 1) / 1000}`,
  device: '1',
  system: 'x',
  run: 'ran',
  usual: 'tmpfs\ntmpfs\ntmpfs',
};

describe('root in a container with an overlay', { skip: lxc.skip || unlessProgram('perl'), concurrency: 2 }, () => {
  for (const [how, args, stderr] of [
    ['in its user namespace', [], /^$/],
    ['with -p', ['-p'], PRIVILEGED],
  ] as const) {
    it(`writes everywhere ${how}, and the host keeps what it has`, async () => {
      const name = uniqueName();
      const earlier = hostNow();
      const options = { ...lxc.options, stderr };
      const found = await ask(['-c', lxc.uri, '-n', name, '--overlay', ...args], WRITES, options);
      assert.deepEqual(found, WRITTEN);
      assert.equal(hostNow(), earlier);
      await assertNothingLeft(name, lxc.where);
    });
  }

  it('is full at half of the memory, and what is there stays usable', async () => {
    const found = await askInside(lxc, ['--overlay', '--memory', '128M'], {
      size: 'df -k / | tail -n 1 | tr -s " " | cut -d" " -f2',
      files: 'df -i / | tail -n 1 | tr -s " " | cut -d" " -f2',
      full: 'head -c 80M /dev/zero > /big',
      // To change a file of the host it has to be copied, for which there is no room.
      copy: 'echo x >> /usr/bin/perl',
      after: 'rm /big && echo x > /small && cat /small',
    });
    assert.deepEqual([found.size, found.files, found.after], [String(64 << 10), String(16 << 10), 'x']);
    assert.match(found.full, /No space left on device$/);
    assert.match(found.copy, /No space left on device$/);
  });

  it('mounts over it, whose targets may be missing, and mounts are written to as ever', async (t) => {
    const kept = scratchDirectory(t);
    const mounts = [`host-bind:${NEW}/up=${kept}`, 'ram:/opt=1M', 'guest-bind:/srv/new=/usr/lib'];
    const found = await askInside(lxc, ['--overlay', ...mounts.flatMap((mount) => ['-m', mount])], {
      kept: `echo out > ${NEW}/up/file; echo in > ${NEW}/file; ls ${NEW}`,
      opt: 'stat -f -c %T /opt',
      bound: 'touch /srv/new/through; ls /usr/lib/through',
    });
    assert.deepEqual(found, { kept: 'file\nup', opt: 'tmpfs', bound: '/usr/lib/through' });
    assert.equal(readFileSync(join(kept, 'file'), 'utf8'), 'out\n');
    assert.deepEqual(readdirSync(kept), ['file']);
  });

  it('has one over the directory of --root, which keeps its mode', { skip: unlessBusybox }, async (t) => {
    const root = makeRoot(t, 'dev', 'proc', 'sys', 'var');
    chmodSync(root, 0o1755);
    const earlier = fingerprint(root);
    const found = await ask(
      ['-c', lxc.uri, '--overlay', '-r', root],
      {
        names: 'busybox stat -c "%a %u %g" /; busybox ls / | busybox tr "\\n" " "',
        write: 'echo x > /var/file; busybox rm /bin/sh; busybox ls /bin /var',
      },
      { ...lxc.options, shell: ['/bin/busybox', 'sh'] },
    );
    assert.equal(found.names, '1755 0 0\nbin dev proc run sys tmp var');
    assert.equal(found.write, '/bin:\nbusybox\n\n/var:\nfile');
    assert.equal(fingerprint(root), earlier);
  });
});

describe('a user in a container with an overlay', { skip: lxc.skip }, () => {
  it('writes what is the user’s', async () => {
    const own = join(ground, 'own');
    mkdirSync(join(own, 'sub'), { recursive: true, mode: 0o700 });
    writeFileSync(join(own, 'file'), 'of the host\n', { mode: 0o600 });
    for (const name of ['', 'sub', 'file']) chownSync(join(own, name), NOBODY, NOBODY);
    const earlier = hostNow();
    const found = await askInside(lxc, ['--overlay', '-S', 'nobody'], {
      own: `cd ${own} && echo more >> file && cat file && mv sub other && mkdir new && stat -c %u file other new`,
      others: [`touch ${NEW}`, 'rm -f /etc/passwd', 'chmod 777 /etc', 'sh -c "echo x >> /etc/passwd"']
        .map((command) => `${command} 2>/dev/null || echo no`)
        .join('; '),
    });
    assert.equal(found.own, `of the host\nmore\n${NOBODY}\n${NOBODY}\n${NOBODY}`);
    assert.equal(found.others, 'no\nno\nno\nno');
    assert.equal(hostNow(), earlier);
  });
});

/**
 * Directories of the libvirtd's namespace, which go with it: other containers of this run bind what is mounted on them,
 * and may do so when the mounts are gone.
 */
const LASTING = `/var/lib/libvirt/${OWN}`;

describe('what is mounted below the root', { skip: lxc.skip || unlessProgram('setfacl') }, () => {
  it('can be written to, keeps its ACL, and stays read-only where the kernel has no overlay for it', async () => {
    const names = { memory: 'a:b,c d', acl: 'acl', overlay: 'overlay' };
    const at = (name: keyof typeof names) => join(LASTING, names[name]);
    besideLxc('mkdir', '-p', at('memory'), at('acl'), at('overlay'));
    const earlier = fingerprint(ground);
    try {
      besideLxc('mount', '-t', 'tmpfs', '-o', 'mode=755', 'none', at('memory'));
      besideLxc('touch', join(at('memory'), 'file'));
      besideLxc('mount', '-t', 'tmpfs', '-o', 'mode=755', 'none', at('acl'));
      // Everybody may enter but this one.
      besideLxc('setfacl', '-m', `u:${NOBODY}:---`, at('acl'));
      besideLxc('mount', '-t', 'overlay', '-o', `lowerdir=${tree}:${at('acl')}`, 'none', at('overlay'));
      const found = await ask(
        ['-c', lxc.uri, '-v', '--overlay'],
        {
          memory: `cd '${at('memory')}' && rm file && touch new && ls`,
          acl: `getfacl -cp ${at('acl')} 2>&1 | tr '\n' ' '`,
          overlay: `ls ${at('overlay')}/sub; touch ${at('overlay')}/x`,
        },
        { ...lxc.options, stderr: new RegExp(`overlay: ${at('overlay')} stays read-only: Invalid argument`) },
      );
      assert.equal(found.memory, 'new');
      assert.match(found.acl, /user:nobody:---/);
      assert.match(found.overlay, /^deep\nfile\n.*Read-only file system$/);
      const user = await askInside(lxc, ['--overlay', '-S', 'nobody'], { acl: `ls ${at('acl')}` });
      assert.match(user.acl, /Permission denied$/);
      assert.equal(besideLxc('ls', at('memory')), 'file\n');
    } finally {
      for (const name of ['overlay', 'acl', 'memory'] as const) {
        try {
          besideLxc('umount', at(name));
        } catch {
          // It was not mounted.
        }
      }
    }
    assert.equal(fingerprint(ground), earlier);
  });
});

describe('an overlay whose sandbox is killed', { skip: lxc.skip }, () => {
  /** Those that root-overlay has made, where libvirt runs, and in this test's namespace. */
  const overlays = () =>
    [besideLxc('cat', '/proc/self/mountinfo'), readFileSync('/proc/self/mountinfo', 'utf8')].flatMap((table) =>
      table.split('\n').filter((line) => line.includes('upperdir=upper/')),
    );

  it('goes with it, whatever is killed', async () => {
    for (const victim of ['libvirt_lxc', '/native/init']) {
      const name = uniqueName();
      const command = ['sh', '-c', `echo x > ${NEW}; echo running; exec sleep 1000`];
      const running = startSandbox(['-c', lxc.uri, '-n', name, '--overlay', '--', ...command], lxc.options);
      await running.until(/running/);
      const controller = Number.parseInt(
        processesWith(name).find((line) => line.includes('libvirt_lxc') && / --name \S+/.test(line)) ?? '',
        10,
      );
      const init = Number(readFileSync(`/proc/${controller}/task/${controller}/children`, 'utf8'));
      process.kill(victim === 'libvirt_lxc' ? controller : init, 'SIGKILL');
      assert.equal((await running.result).code, 125);
      await assertNothingLeft(name, exceptLogs(lxc.where));
      assert.deepEqual(overlays(), []);
      assert.equal(existsSync(NEW), false);
    }
  });
});

describe('an overlay of a container', { skip: lxc.skip }, () => {
  it('is refused for a root that cannot have one, with the reason', { skip: unlessBusybox }, async (t) => {
    const root = makeRoot(t, 'dev', 'proc', 'sys');
    const other = scratchDirectory(t);
    const mounted = join(LASTING, 'refused');
    besideLxc('mkdir', '-p', mounted);
    besideLxc('mount', '-t', 'overlay', '-o', `lowerdir=${root}:${other}`, 'none', mounted);
    try {
      const result = await runSandbox(['-c', lxc.uri, '--overlay', '-r', mounted, '--', '/bin/sh'], lxc.options);
      assertFailure(result, /an overlay cannot be laid over the root: .*: Invalid argument/, /a root on ext4/);
    } finally {
      besideLxc('umount', mounted);
    }
  });

  it('hides what a link of the root leads to in that root', {
    skip: unlessBusybox || unlessProgram('setfacl'),
  }, async (t) => {
    const root = makeRoot(t, 'dev', 'proc', 'sys', 'real/deep', 'etc');
    writeFileSync(join(root, 'real/deep/key'), 'secret\n');
    // On the host, it leads nowhere.
    symlinkSync('/real/deep', join(root, 'etc', OWN));
    const script = `/bin/busybox cat /real/deep/key /etc/${OWN}/key && echo seen`;
    const sees = async (...user: string[]) => {
      const args = ['-c', lxc.uri, '--overlay', '-r', root, '--hide', `/etc/${OWN}/key`, ...user];
      const { out, stderr } = await runSandbox([...args, '--', '/bin/sh', '-c', script], lxc.options);
      return [out, stderr];
    };
    const nobody = ['-S', 'nobody'];
    for (const user of [[], nobody]) assert.deepEqual(await sees(...user), ['seen\n', '']);
    // The mode lets this one in, since its group bits are the mask.
    execFileSync('setfacl', ['-m', `u:${NOBODY}:---`, join(root, 'real')]);
    const [out, stderr = ''] = await sees(...nobody);
    assert.equal(out, '');
    assert.match(stderr, /^cat: .*No such file/);
  });

  it('is refused for a root that root inside may not enter', { skip: unlessBusybox }, async (t) => {
    const root = makeRoot(t, 'dev', 'proc', 'sys');
    chmodSync(root, 0o700);
    const result = await runSandbox(['-c', lxc.uri, '--overlay', '-r', root, '--', '/bin/sh'], lxc.options);
    assertFailure(result, /over the root: the user inside may not enter it/, /root inside is nobody on this host/);
  });

  it('has no shell beside it that root inside may have replaced', async () => {
    const args = ['-c', lxc.uri, '--overlay', '--shell', '--', 'true'];
    assertFailure(await runSandbox(args, lxc.options), /has no root shell beside the application/, /-S USER/);
  });

  it('is named in what a sandbox is saved as', async (t) => {
    const file = join(scratchDirectory(t), 'sandbox.cfg');
    const args = ['-c', lxc.uri, '--overlay', '--save-config', file, '--', 'sh', '-c', 'touch /x && echo written'];
    assertRun(await runSandbox(args, lxc.options), 0, '');
    assertRun(await runSandbox(['-c', lxc.uri, '--config', file], lxc.options), 0, 'written\n');
  });
});
