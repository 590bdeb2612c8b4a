/** The home directory inside: --home. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
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
import { poolOf } from '../helpers/taking.js';

const NOBODY = 65_534;
/** Not in /tmp, which a sandbox has of its own. */
const ground = mkdtempSync('/var/tmp/virt-sandbox-home-');
/** A home of the host's that everybody may read. */
const home = join(ground, 'home');
before(() => {
  chmodSync(ground, 0o755);
  mkdirSync(home, { mode: 0o755 });
  writeFileSync(join(home, '.profile'), 'of the host\n', { mode: 0o644 });
});
after(() => rmSync(ground, { recursive: true, force: true }));

const FACTS = {
  names: 'echo $HOME; cd; pwd; ls -A ~',
  mode: 'stat -c "%a %u" ~',
  write: 'mkdir ~/.cache && echo kept > ~/.cache/file && cat ~/.cache/file',
} as const;

/** What {@link FACTS} find in an empty home. */
const empty = (owner: number, at = home) => ({ names: `${at}\n${at}`, mode: `700 ${owner}`, write: 'kept' });

for (const way of [embedded, system]) {
  describe(`the home over ${way.uri}`, { skip: way.skip }, () => {
    const env = { HOME: home };
    const args = (name: string) => ['-c', way.uri, ...ACCEL, '-n', name];

    for (const more of [['--boot', 'cold'], ['-p'], ['--overlay', '-p']])
      it(`is an empty one with tmp, and gone at the end: ${more.join(' ')}`, async () => {
        const name = uniqueName();
        // With -p the home is that of the user database.
        const at = more.includes('-p') ? rootsHome() : home;
        for (let turn = 0; turn < 2; turn += 1) {
          const found = await ask([...args(name), ...more, '--home', 'tmp'], FACTS, { env });
          assert.deepEqual(found, empty(0, at));
        }
        assert.equal(readFileSync(join(home, '.profile'), 'utf8'), 'of the host\n');
        await assertNothingLeft(name, way.where);
      });

    it("is root's own with host, as far as it may be read", async () => {
      const found = await ask([...args(uniqueName()), '--home', 'host'], FACTS, { env });
      assert.equal(found.names, `${home}\n${home}\n.profile`);
      assert.match(found.write, /Read-only file system/);
    });

    it('is a directory that is kept', { skip: unlessProgram('virtiofsd') }, async () => {
      const box = join(ground, `boxes-${way.uri.slice(-5)}`, 'one');
      const name = uniqueName();
      const kept = [...args(name), '--home', box];
      assert.deepEqual(await ask(kept, FACTS, { env }), empty(0));
      assert.equal(readFileSync(join(box, '.cache/file'), 'utf8'), 'kept\n');
      assert.equal(statSync(box).mode & 0o7777, 0o700);
      const again = await ask([...kept, '--boot', 'cold'], { read: 'cat ~/.cache/file; ls -A ~' }, { env });
      assert.equal(again.read, 'kept\n.cache');
      await assertNothingLeft(name, way.where);
    });

    it('is of the user of -S', { skip: unlessProgram('virtiofsd') }, async () => {
      const root = join(ground, 'root');
      mkdirSync(join(root, 'nonexistent'), { recursive: true });
      // The one of nobody, on a root that has it.
      const mounts = ['-m', `host-bind:/nonexistent=${root},ro`];
      const refused = await runSandbox([
        ...args(uniqueName()),
        ...mounts,
        '-S',
        'nobody',
        '--home',
        'tmp',
        '--',
        'true',
      ]);
      assertFailure(refused, /config: a mount has the target "\/nonexistent"/);
      const box = join(ground, `boxes-${way.uri.slice(-5)}`, 'nobody');
      const own = ['-S', 'nobody', '--overlay'];
      for (const value of ['tmp', box])
        assert.deepEqual(
          await ask([...args(uniqueName()), ...own, '--home', value], FACTS),
          empty(NOBODY, '/nonexistent'),
        );
      assert.equal(statSync(join(box, '.cache/file')).uid, NOBODY);
    });
  });
}

function rootsHome(): string {
  return /^[^:]*:[^:]*:0:[^:]*:[^:]*:([^:]*):/m.exec(readFileSync('/etc/passwd', 'utf8'))?.[1] ?? '/root';
}

describe('a home', { skip: embedded.skip }, () => {
  const args = ['-c', embedded.uri, ...ACCEL];

  it('that the root does not have is named, with the system call that failed', async () => {
    const env = { HOME: '/nonexistent/home' };
    const refused = await runSandbox([...args, '--home', 'tmp', '--', 'true'], { env });
    assertFailure(refused, /init: the home directory \/nonexistent\/home is not there inside.*Read-only.*--home$/);
    // What can be written to has it made.
    assert.deepEqual(await ask([...args, '--home', 'tmp', '--overlay'], FACTS, { env }), empty(0, '/nonexistent/home'));
    const inTmp = { HOME: '/tmp/home' };
    assert.deepEqual(await ask([...args, '--home', 'tmp'], FACTS, { env: inTmp }), empty(0, '/tmp/home'));
  });

  it('lies in the mounts above it, and mounts in it are made in it', async (t) => {
    const shared = scratchDirectory(t);
    writeFileSync(join(shared, 'file'), 'shared\n');
    const env = { HOME: '/opt/homes/ada' };
    const mounts = ['ram:/opt=8M', `host-bind:/opt/homes/ada/work=${shared},ro`, 'ram:/opt/other=1M'];
    const found = await ask(
      [...args, ...mounts.flatMap((mount) => ['-m', mount]), '--home', 'tmp'],
      { ...FACTS, work: 'cat ~/work/file; stat -f -c %T ~ /opt/other' },
      { env },
    );
    assert.equal(found.names, '/opt/homes/ada\n/opt/homes/ada\nwork');
    assert.equal(found.work, 'shared\ntmpfs\ntmpfs');
  });

  it('has the includes of it, and no directory of the host that is mounted above it', async (t) => {
    const shared = scratchDirectory(t);
    const file = join(shared, 'given');
    writeFileSync(file, 'included\n');
    const above = join(shared, 'above');
    mkdirSync(above);
    const env = { HOME: '/opt/ada' };
    for (const mount of ['ram:/opt=8M', `host-bind:/opt=${above}`]) {
      const include = ['-m', mount, '-i', `/opt/ada/.rc=${file}`, '-i', `/opt/beside=${file}`];
      const found = await ask([...args, ...include, '--home', 'tmp'], { rc: 'cat ~/.rc; stat -f -c %T ~' }, { env });
      assert.equal(found.rc, 'included\ntmpfs', mount);
    }
    // The mount point is the host's, and what is in the home is not.
    assert.deepEqual(
      [readdirSync(join(above, 'ada')), readFileSync(join(above, 'beside'), 'utf8')],
      [[], 'included\n'],
    );
  });

  it('is in another root too', { skip: unlessBusybox }, async (t) => {
    const root = makeRoot(t, 'dev', 'proc', 'sys', 'tmp', 'home', 'home/ada');
    chmodSync(root, 0o755);
    writeFileSync(join(root, 'home/ada/key'), 'secret\n');
    const script = 'cat ~/key; echo x > ~/x; busybox ls -A ~';
    const shell = ['/bin/busybox', 'sh', '-c', script];
    const run = await runSandbox([...args, '-r', root, '--home', 'tmp', '--', ...shell], {
      env: { HOME: '/home/ada' },
    });
    assert.deepEqual([run.code, run.out], [0, 'x\n'], run.stderr);
    const mount = ['-m', 'ram:/=16M', '-i', '/bin/busybox', '--home', 'tmp', '--', '/bin/busybox', 'stat', '-c', '%a'];
    assertRun(await runSandbox([...args, ...mount, '/home/ada'], { env: { HOME: '/home/ada' } }), 0, '700\n');
  });

  it('is each sandbox of a pool its own with tmp, and one directory for all', {
    skip: unlessProgram('virtiofsd'),
  }, async (t) => {
    const { take } = await poolOf(t, { size: 2, home: 'tmp', privileged: true });
    const [one, two] = await Promise.all([take(), take()]);
    assert.ok(one && two);
    assert.equal((await one.run('echo one > ~/x; cat ~/x')).stdout, 'one\n');
    assert.equal((await two.run('ls -A ~')).stdout, '');
    const box = join(ground, 'boxes-pool/home');
    const kept = await poolOf(t, { size: 2, home: box, privileged: true });
    const [first, second] = await Promise.all([kept.take(), kept.take()]);
    assert.ok(first && second);
    await first.run('echo first > ~/x');
    assert.equal((await second.run('cat ~/x')).stdout, 'first\n');
  });

  it('is named in what a sandbox is saved as, and is not made by what starts nothing', async () => {
    const box = join(ground, 'boxes-saved/home');
    const file = join(ground, 'sandbox.cfg');
    const env = { HOME: home };
    assertRun(
      await runSandbox([...args, '--home', box, '--save-config', file, '--', 'ls', '-A', home], { env }),
      0,
      '',
    );
    const printed = await runSandbox([...args, '--config', file, '--print-xml'], { env });
    assert.ok(printed.code === 0 && printed.out.includes(box), printed.stderr);
    assert.equal(statSync(join(ground, 'boxes-saved'), { throwIfNoEntry: false }), undefined);
    assertRun(await runSandbox([...args, '--config', file, '--home', 'tmp'], { env }), 0, '');
  });
});

describe('of an ordinary user', { skip: unlessOrdinaryUser() }, () => {
  let user: OrdinaryUser;
  before(async () => {
    user = await OrdinaryUser.create();
  });
  after(() => user?.end());

  for (const uri of ['qemu:///session', embedded.uri]) {
    it(`the home over ${uri} is empty, or kept, for the user and for root inside`, async () => {
      const own = join(ground, `own-${uri.slice(-5)}`);
      mkdirSync(own, { mode: 0o755 });
      writeFileSync(join(own, '.profile'), 'of the host\n');
      chownSync(own, NOBODY, NOBODY);
      const options = {
        ...user.options,
        env: { ...user.options.env, HOME: own, XDG_CACHE_HOME: join(user.home, '.cache') },
      };
      const name = uniqueName();
      const args = ['-c', uri, ...ACCEL, '-n', name];
      assert.deepEqual(await ask([...args, '--home', 'tmp'], FACTS, options), empty(NOBODY, own));
      const box = join(user.home, `boxes-${uri.slice(-5)}`, 'one');
      assert.deepEqual(await ask([...args, '--home', box], FACTS, options), empty(NOBODY, own));
      assert.deepEqual([statSync(box).uid, statSync(box).mode & 0o7777], [NOBODY, 0o700]);
      const root = await ask(
        [...args, '-p', '--home', box],
        { read: 'cat ~/.cache/file; echo more > ~/.cache/more', caller: `ls -A ${own}` },
        options,
      );
      assert.deepEqual(root, { read: 'kept', caller: '' });
      assert.equal(readFileSync(join(box, '.cache/more'), 'utf8'), 'more\n');
      const refused = await runSandbox([...args, '-S', 'mail', '--home', box, '--', 'true'], options);
      assertFailure(refused, /config: files of a directory of this host belong to you.*mail/);
      await assertNothingLeft(name, uri === embedded.uri ? { state: user.home } : user.where);
    });
  }
});
