/** A root to write to, kept in a directory: --overlay=DIR, in containers. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
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
import { ctl, said, startDetached } from '../helpers/ctl.js';
import { unlessProgram } from '../helpers/images.js';
import { ask, askInside } from '../helpers/inside.js';
import { assertNothingLeft, exceptLogs, processesWith, uniqueName } from '../helpers/leftovers.js';
import { makePackages } from '../helpers/packages.js';
import { assertFailure, assertRun, runSandbox, startSandbox } from '../helpers/run.js';
import { scratchDirectory } from '../helpers/scratch.js';
import { fingerprint } from '../helpers/tree-listing.js';

const NOBODY = 65_534;
const PRIVILEGED = /^virt-sandbox: warning: a privileged container is no barrier/;
/** Not in /tmp, which a sandbox has of its own. What sandboxes write is not in the ground that must stay as it is. */
const ground = mkdtempSync('/var/tmp/virt-sandbox-overlay-directory-');
const shelf = mkdtempSync('/var/tmp/virt-sandbox-overlay-kept-');
const tree = join(ground, 'tree');
/** Names that nothing on the host has. */
const OWN = uniqueName();
const [SAYER, TOOL, NEW] = [`${OWN}-sayer`, `${OWN}-tool`, `/${OWN}-made`];
/** It goes with the libvirtd's namespace: other containers of this run may bind what is mounted there. */
const LASTING = `/var/lib/libvirt/${OWN}`;
const MADE = [NEW, `/usr/bin/${SAYER}`, `/etc/${SAYER}`, `/usr/local/bin/${TOOL}`];

function hostNow(): string {
  assert.deepEqual(MADE.filter(existsSync), []);
  return fingerprint(ground);
}

before(() => {
  chmodSync(ground, 0o755);
  for (const name of ['', 'sub', 'sub/deep', 'gone', 'fresh']) mkdirSync(join(tree, name), { mode: 0o755 });
  for (const name of ['file', 'removed', 'sub/file', 'sub/deep/file', 'gone/file', 'fresh/file'])
    writeFileSync(join(tree, name), `host ${name}\n`, { mode: 0o644 });
  symlinkSync('file', join(tree, 'link'));
});
after(() => {
  for (const directory of [ground, shelf]) rmSync(directory, { recursive: true, force: true });
});

/** What a first sandbox does, as root. */
const WRITES = {
  root: 'awk \'$2 == "/" {print $3, substr($4, 1, 2)}\' /proc/mounts; stat -c "%a %u %g" /',
  append: `cd ${tree} && echo more >> file && chmod 4750 file && stat -c '%a %u %g' file`,
  remove: `cd ${tree} && rm removed && rm -r gone fresh && mkdir fresh && ls -A fresh`,
  // rename(2) answers EXDEV, so that no path of the host's tree is kept.
  rename: `cd ${tree} && perl -e 'rename("sub", "moved") or print $!' && mv sub moved && ls -R moved | tail -n 1`,
  links: `cd ${tree} && ln file hard && ln -s nowhere new-link && stat -c %h hard`,
  special: `cd ${tree} && mkfifo pipe && stat -c %F pipe`,
  sparse: `cd ${tree} && truncate -s 1G big && stat -c '%s %b' big`,
  run: `cp /bin/true /usr/local/bin/${TOOL} && ${TOOL} && echo ran`,
  new: `mkdir -p ${NEW}/deep && touch ${NEW}/deep/x && sync`,
  usual: 'for path in /tmp /run /dev/shm; do stat -f -c %T $path; done; ls -A /tmp; ls -A /dev/.sandbox 2>/dev/null',
} as const;

const WRITTEN = {
  root: 'overlay rw\n755 0 0',
  append: '4750 0 0',
  remove: '',
  rename: 'Invalid cross-device linkfile',
  links: '2',
  special: 'fifo',
  sparse: '1073741824 0',
  run: 'ran',
  new: '',
  usual: 'tmpfs\ntmpfs\ntmpfs',
};

/** What a second one finds. */
const FINDS = {
  append: `cd ${tree} && cat file && stat -c '%a %u %g %h' file`,
  remove: `cd ${tree} && ls -d removed gone 2>/dev/null; ls -A fresh`,
  rename: `cd ${tree} && ls -d sub 2>/dev/null; cat moved/deep/file`,
  links: `cd ${tree} && readlink link new-link`,
  special: `cd ${tree} && stat -c %F pipe`,
  sparse: `cd ${tree} && stat -c '%s %b' big`,
  run: `${TOOL} && echo ran`,
  new: `ls ${NEW}/deep`,
  // One device number, and no two files have one inode number.
  device: `cd ${tree} && stat -c %d . file link fresh moved/deep/file / /etc | sort -u | wc -l; find . -type f ! -links +1 -printf '%i\\n' | sort | uniq -d`,
  // What the host has changed since.
  lower: `cd ${tree} && cat later; cat sub/later fresh/later gone/later 2>&1 | sed 's/.*: //'`,
} as const;

const FOUND = {
  append: 'host file\nmore\n4750 0 0 2',
  remove: '',
  rename: 'host sub/deep/file',
  links: 'file\nnowhere',
  special: 'fifo',
  sparse: '1073741824 0',
  run: 'ran',
  new: 'x',
  device: '1',
  lower: 'later\nNo such file or directory\nNo such file or directory\nNo such file or directory',
};

describe('an overlay in a directory, of containers', { skip: lxc.skip || unlessProgram('perl') }, () => {
  for (const [how, args, stderr] of [
    ['in its user namespace', [], /^$/],
    ['with -p', ['-p'], PRIVILEGED],
  ] as const)
    it(`is found again by the next one ${how}, and the host keeps what it has`, async () => {
      const kept = join(shelf, `kept-${args.length}`);
      const earlier = hostNow();
      const name = uniqueName();
      const options = { ...lxc.options, stderr };
      const words = ['-c', lxc.uri, '-n', name, `--overlay=${kept}`, ...args];
      assert.deepEqual(await ask(words, WRITES, options), WRITTEN);
      assert.equal(hostNow(), earlier);
      const later = ['later', 'sub/later', 'fresh/later', 'gone/later'].map((path) => join(tree, path));
      for (const path of later) writeFileSync(path, 'later\n');
      try {
        const changed = hostNow();
        assert.deepEqual(await ask(words, FINDS, options), FOUND);
        assert.equal(hostNow(), changed);
      } finally {
        for (const path of later) rmSync(path);
      }
      // The files have the owners that they have inside.
      const { uid, gid, mode } = lstatSync(join(kept, 'layers/mounts/%2F/upper', tree, 'file'));
      assert.deepEqual([uid, gid, mode & 0o7777], [0, 0, 0o4750]);
      const changes = (await said(['diff', kept])).split('\n');
      for (const change of [
        `D ${tree}/removed`,
        `D ${tree}/gone`,
        `D ${tree}/fresh/file`,
        `A ${NEW}/deep/x`,
        `C ${tree}`,
        'C /usr',
      ])
        assert.ok(changes.includes(change), `${change}: ${changes}`);
      assert.equal(changes.includes(`C ${tree}/link`), false);
      await assertNothingLeft(name, lxc.where);
    });

  it('is the same one for root and for another user', async () => {
    const own = join(ground, 'own');
    mkdirSync(own);
    chownSync(own, NOBODY, NOBODY);
    const kept = `--overlay=${shelf}/users`;
    const first = await askInside(lxc, [kept, '-S', 'nobody'], {
      own: `echo of nobody > ${own}/file && stat -c %u ${own}/file`,
      other: `touch ${NEW}`,
    });
    assert.deepEqual([first.own, /Permission denied$/.test(first.other)], [String(NOBODY), true]);
    const { uid } = lstatSync(join(shelf, 'users/layers/mounts/%2F/upper', own, 'file'));
    assert.equal(uid, NOBODY);
    const asRoot = await askInside(lxc, [kept], {
      own: `stat -c %u ${own}/file; cat ${own}/file`,
      made: `echo r > ${NEW}`,
    });
    assert.deepEqual(asRoot, { own: `${NOBODY}\nof nobody`, made: '' });
    const again = await askInside(lxc, [kept, '-S', 'nobody'], {
      own: `echo more >> ${own}/file; cat ${own}/file ${NEW}`,
    });
    assert.equal(again.own, 'of nobody\nmore\nr');
    rmSync(own, { recursive: true });
  });

  it('keeps what dpkg and make install, and that it is removed', {
    skip: unlessProgram('dpkg-deb', 'make'),
  }, async () => {
    makePackages(ground, { sayer: SAYER, tool: TOOL });
    const earlier = hostNow();
    const kept = `--overlay=${shelf}/packages`;
    const installed = await askInside(lxc, [kept], {
      dpkg: `dpkg -i ${ground}/sayer.deb >/tmp/log 2>&1 && ${SAYER} || cat /tmp/log`,
      make: `make -s -C ${ground}/source install && ${TOOL}`,
    });
    assert.deepEqual(installed, { dpkg: 'set up', make: 'made' });
    const found = await askInside(lxc, [kept], {
      dpkg: `${SAYER} && dpkg-query -W ${SAYER} && dpkg -P ${SAYER} >/tmp/log 2>&1 || cat /tmp/log`,
      make: TOOL,
    });
    assert.deepEqual(found, { dpkg: `set up\n${SAYER}\t1`, make: 'made' });
    const last = await askInside(lxc, [kept], { dpkg: SAYER, make: `${TOOL}; ls /usr/bin/${SAYER} 2>&1 | tail -c 26` });
    assert.match(last.dpkg, /not found$/);
    assert.equal(last.make, 'made\nNo such file or directory');
    assert.equal(hostNow(), earlier);
  });

  it('is for one sandbox at a time, and free when that has ended, however it has', async (t) => {
    const kept = `${shelf}/one`;
    const how = lxc.options;
    const name = await startDetached(lxc.uri, { options: [`--overlay=${kept}`] }, how);
    t.after(() => ctl(['kill', name], how));
    assertRun(await ctl(['exec', name, 'sh', '-c', 'echo half > /half && sync && echo done'], how), 0, 'done\n');
    const second = await runSandbox(['-c', lxc.uri, `--overlay=${kept}`, '--', 'true'], how);
    assertFailure(second, new RegExp(`is in use by the sandbox ${name}`), /end that sandbox first/);
    for (const word of [name, kept]) assert.match(await said(['diff', word], how), /^A \/half$/m);
    const [owner] = readFileSync(`/run/libvirt-sandbox/${name}/owner`, 'utf8').split(' ');
    process.kill(Number(owner), 'SIGKILL');
    const next = await askInside(lxc, [`--overlay=${kept}`], { half: 'cat /half; echo more >> /half; cat /half' });
    assert.equal(next.half, 'half\nhalf\nmore');
    await assertNothingLeft(name, exceptLogs(lxc.where));
  });

  it('is free at once when the container is killed', async () => {
    const kept = `--overlay=${shelf}/killed`;
    const synced: string[] = [];
    for (const victim of ['libvirt_lxc', '/native/init', 'libvirt_lxc'] as const) {
      const name = uniqueName();
      const script = `cat /turn.* 2>/dev/null; echo ${name} > /turn.${name}; sync; echo synced; while :; do cp -r /usr/lib/os-release /etc/default /made; rm -r /made; done`;
      const running = startSandbox(['-c', lxc.uri, '-n', name, kept, '--', 'sh', '-c', script], lxc.options);
      await running.until(/synced/);
      assert.deepEqual(running.out().split('\n').slice(0, -2).sort(), [...synced].sort());
      synced.push(name);
      const controller = Number.parseInt(
        processesWith(name).find((line) => line.includes('libvirt_lxc') && / --name \S+/.test(line)) ?? '',
        10,
      );
      const init = Number(readFileSync(`/proc/${controller}/task/${controller}/children`, 'utf8'));
      process.kill(victim === 'libvirt_lxc' ? controller : init, 'SIGKILL');
      assert.equal((await running.result).code, 125);
      await assertNothingLeft(name, exceptLogs(lxc.where));
    }
  });

  it('is one sandbox’s, of three that start at once', async (t) => {
    const go = scratchDirectory(t);
    const options = (name: string) => [
      '-c',
      lxc.uri,
      '-n',
      name,
      `--overlay=${shelf}/race`,
      '-m',
      `host-bind:/mnt=${go}`,
    ];
    const names = [uniqueName(), uniqueName(), uniqueName()];
    const command = ['sh', '-c', 'until [ -e /mnt/go ]; do sleep 0.1; done'];
    let refused = 0;
    const run = async (name: string) => {
      const result = await runSandbox([...options(name), '--', ...command], lxc.options);
      // The one that has it waits until both others have failed.
      if (result.code !== 0) refused += 1;
      if (refused === 2) writeFileSync(join(go, 'go'), '');
      return result;
    };
    const all = await Promise.all(names.map(run));
    const winner = names.find((_, index) => all[index]?.code === 0);
    assert.equal(refused, 2);
    for (const result of all)
      if (result.code !== 0) assertFailure(result, new RegExp(`is in use by the sandbox ${winner};`));
  });

  it('has layers of its own for what is mounted below the root', async () => {
    const mounted = `${LASTING}-below`;
    besideLxc('mkdir', '-p', mounted);
    besideLxc('mount', '-t', 'tmpfs', '-o', 'mode=755', 'none', mounted);
    const kept = join(shelf, 'below');
    try {
      besideLxc('touch', join(mounted, 'file'));
      const first = await askInside(lxc, [`--overlay=${kept}`], {
        change: `cd ${mounted} && rm file && mkdir new && ls`,
      });
      assert.equal(first.change, 'new');
      assert.equal((await askInside(lxc, [`--overlay=${kept}`], { ls: `ls ${mounted}` })).ls, 'new');
      assert.equal(besideLxc('ls', mounted), 'file\n');
      const changes = (await said(['diff', kept], lxc.options)).split('\n');
      for (const change of ['C /var', 'C /var/lib', `C ${mounted}`, `D ${mounted}/file`, `A ${mounted}/new`])
        assert.ok(changes.includes(change), `${change}: ${changes}`);
    } finally {
      besideLxc('umount', mounted);
    }
    // Where it is mounted no more, its layers are not seen, and wait.
    assert.equal((await askInside(lxc, [`--overlay=${kept}`], { ls: `ls ${mounted}` })).ls, '');
    assert.ok(readdirSync(join(kept, 'layers/mounts')).includes(mounted.replaceAll('/', '%2F')));
  });

  it('is named in what a sandbox is saved as', async (t) => {
    const file = join(scratchDirectory(t), 'sandbox.cfg');
    const options = ['-c', lxc.uri, `--overlay=${shelf}/saved`, '--save-config', file];
    const args = [...options, '--', 'sh', '-c', 'echo x >> /x; cat /x'];
    assertRun(await runSandbox(args, lxc.options), 0, '');
    for (const out of ['x\n', 'x\nx\n'])
      assertRun(await runSandbox(['-c', lxc.uri, '--config', file], lxc.options), 0, out);
  });
});
