/** What a sandbox leaves whose launcher and supervisor are dead: who may remove it, and which processes end with it. */

import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Supervisor } from '../../../../src/libvirt/supervisor.js';
import { hostProgram } from '../../../../src/util/programs.js';
import { sphere } from '../../../../src/util/sphere.js';
import { processesWith } from '../../../helpers/leftovers.js';
import { scratchDirectory, unlessRoot } from '../../../helpers/scratch.js';

/** No process has this ID: it is beyond what the kernel gives. */
const DEAD = '4194304 1';

/** Of another boot, or of another PID namespace. */
const ELSEWHERE = `${DEAD} 0123456789ab-1`;

/** No launcher takes so long to make a directory. */
const LONG_AGO = new Date(Date.now() - 120_000);
const A_WEEK_AGO = new Date(Date.now() - 8 * 86_400_000);

/** Nobody has given a sign of life since. */
function silence(path: string, since: Date): void {
  for (const at of [join(path, 'owner'), path]) if (existsSync(at)) utimesSync(at, since, since);
}

/** In milliseconds, for what happens without a word. */
const SOON_MS = 10_000;

/** A state directory with this owner. */
function stateDirectory(t: TestContext, owner: string, base = scratchDirectory(t), name = 'state'): string {
  const path = join(base, name);
  mkdirSync(path);
  writeFileSync(join(path, 'owner'), `${owner}\n`);
  return path;
}

/** A directory beside others, with this content of `owner`, or without that file. */
function unowned(base: string, name: string, owner?: string): string {
  const path = join(base, name);
  mkdirSync(path);
  if (owner !== undefined) writeFileSync(join(path, 'owner'), owner);
  return path;
}

const run = (order: string, path: string) => spawnSync(hostProgram('supervisor'), [order, path], { encoding: 'utf8' });

/** A process that waits, with these words as its command line. */
function waiting(t: TestContext, [argv0 = '', ...words]: readonly string[], through: readonly string[] = []) {
  const [program = '', ...before] = [...through, '/bin/sh'];
  const child = spawn(program, [...before, '-c', 'read line', ...words], {
    argv0,
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  return child;
}

/** How it ends: status and signal. */
const endOf = (child: ChildProcess) => once(child, 'exit', { signal: AbortSignal.timeout(SOON_MS) });

const hasEnded = ({ exitCode, signalCode }: ChildProcess) => exitCode !== null || signalCode !== null;

async function removed(path: string): Promise<void> {
  for (const deadline = Date.now() + SOON_MS; existsSync(path); await sleep(10)) assert.ok(Date.now() < deadline, path);
}

describe('the state directory of a dead owner', () => {
  it('is removed with the driver that runs in it, and no other process ends', async (t) => {
    const path = stateDirectory(t, DEAD);
    const words = ['-r', join(path, 'libvirt'), join(path, 'domain.xml')];
    const driver = waiting(t, ['/usr/bin/virt-qemu-run', ...words]);
    const others = [
      waiting(t, ['grep', ...words]),
      waiting(t, ['/usr/bin/virt-qemu-run', '-r', `${path}2/libvirt`]),
      waiting(t, ['/usr/bin/virt-qemu-run', path]),
      waiting(t, ['/usr/bin/qemu-system-x86_64', '-name', 'guest=state', 'path=/elsewhere/channel']),
      waiting(t, ['/usr/libexec/virtiofsd', '--shared-dir', '/']),
    ];
    const ended = endOf(driver);
    assert.equal(run('--remove-stale', path).status, 0);
    assert.deepEqual(await ended, [null, 'SIGTERM']);
    assert.equal(existsSync(path), false);
    assert.deepEqual(others.map(hasEnded), [false, false, false, false, false]);
  });

  it("ends no process of another user's", { skip: unlessRoot('takes another user') }, async (t) => {
    const path = stateDirectory(t, DEAD);
    // Node.js can choose the name that a program is called by, and setpriv cannot.
    const words = ['-c', 'read line', '-r', join(path, 'libvirt')];
    const code = `child_process.spawnSync('/bin/sh', ${JSON.stringify(words)}, { argv0: 'virt-qemu-run', stdio: 'inherit' })`;
    const user = ['--reuid=65534', '--clear-groups', '--', process.execPath, '-e', code];
    const child = spawn('setpriv', user, { stdio: ['pipe', 'ignore', 'inherit'] });
    t.after(() => child.stdin.end());
    const isThere = () => processesWith(path).some((line) => / virt-qemu-run -c read line -r /.test(line));
    for (const deadline = Date.now() + SOON_MS; !isThere(); await sleep(10)) assert.ok(Date.now() < deadline);
    assert.equal(run('--remove-stale', path).status, 0);
    assert.equal(isThere(), true);
  });

  it('is gone for each of many that remove it at once', async (t) => {
    for (let round = 0; round < 20; round += 1) {
      const path = stateDirectory(t, DEAD);
      const removers = Array.from({ length: 8 }, () =>
        spawn(hostProgram('supervisor'), ['--remove-stale', path], { stdio: 'inherit' }),
      );
      const ends = await Promise.all(removers.map(endOf));
      assert.deepEqual(new Set(ends.map(([status]) => status)), new Set([0]));
    }
  });

  it('is left to its supervisor while that is at work', async (t) => {
    const path = stateDirectory(t, DEAD);
    const done = join(path, '..', 'done');
    const ready = join(path, '..', 'ready');
    const script = `trap 'sleep 0.5; : > ${done}; exit' TERM; : > ${ready}; while :; do sleep 0.01; done`;
    const supervisor = await Supervisor.start({ directory: path, command: ['sh', '-c', script] });
    while (!existsSync(ready)) await sleep(5);
    const finished = supervisor.finish();
    const remover = spawn(hostProgram('supervisor'), ['--remove-stale', path], { stdio: 'inherit' });
    assert.deepEqual(await endOf(remover), [0, null]);
    assert.deepEqual([existsSync(path), existsSync(done)], [false, true]);
    await finished;
  });
});

describe('the state directory of an owner that lives', () => {
  it('is taken over for the owner', (t) => {
    const path = stateDirectory(t, `${process.pid} 1`);
    const { status, stderr } = run('--take-over', path);
    assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
    assert.equal(existsSync(path), false);
  });

  it('is taken over for nobody else', (t) => {
    const path = stateDirectory(t, `${process.ppid} ${startTime(process.ppid)}`);
    assert.equal(run('--take-over', path).status, 1);
    assert.equal(run('--remove-stale', path).status, 1);
    assert.equal(existsSync(path), true);
  });
});

function startTime(pid: number): string {
  const stat = spawnSync('cat', [`/proc/${pid}/stat`], { encoding: 'utf8' }).stdout;
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
}

describe('a supervisor that ends', () => {
  it('removes what dead sandboxes left beside its own, and nothing else', async (t) => {
    const base = scratchDirectory(t);
    const dead = ['dead', '.claim-dead'].map((name) => stateDirectory(t, `${DEAD} ${sphere()}`, base, name));
    const kept = [
      stateDirectory(t, ELSEWHERE, base, 'of another boot'),
      stateDirectory(t, DEAD, base, 'of an older version'),
      stateDirectory(t, `${process.ppid} ${startTime(process.ppid)} ${sphere()}`, base, 'alive'),
      stateDirectory(t, `${DEAD} ${sphere()}`, base, 'supervised'),
    ];
    const other = await Supervisor.start({ directory: kept[3] ?? '' });
    t.after(() => other.finish());
    const supervisor = await Supervisor.start({ directory: stateDirectory(t, DEAD, base, 'own') });
    await supervisor.finish();
    for (const path of dead) await removed(path);
    assert.deepEqual(kept.map(existsSync), [true, true, true, true]);
    await other.finish();
    assert.equal(existsSync(kept[3] ?? ''), false);
  });

  it('removes what was being made or removed when its process was killed, after a minute', async (t) => {
    const base = scratchDirectory(t);
    const left = ['.claim-', '.stale-'].flatMap((start) => [
      unowned(base, `${start}without`),
      unowned(base, `${start}empty`, ''),
    ]);
    for (const path of left) silence(path, LONG_AGO);
    const living = `${process.ppid} ${startTime(process.ppid)} ${sphere()}\n`;
    const kept = [
      unowned(base, '.claim-new'),
      unowned(base, '.claim-new-empty', ''),
      unowned(base, '.claim-alive', living),
      unowned(base, '.claim-elsewhere', `${ELSEWHERE}\n`),
    ];
    for (const path of kept.slice(2)) silence(path, LONG_AGO);
    await end(t, base);
    for (const path of left) await removed(path);
    assert.deepEqual(kept.map(existsSync), [true, true, true, true]);
  });

  it('removes what an owner of another boot left a week ago, if nobody holds it', async (t) => {
    const base = scratchDirectory(t);
    const names = ['of another boot', '.claim-of-another-boot', '.stale-of-another-boot'];
    const left = names.map((name) => stateDirectory(t, ELSEWHERE, base, name));
    // A loss of power may have taken the content.
    left.push(unowned(base, 'empty', ''), unowned(base, 'zeros', '\0'.repeat(40)));
    const kept = [
      stateDirectory(t, ELSEWHERE, base, 'held elsewhere'),
      stateDirectory(t, ELSEWHERE, base, 'with a sign of life'),
      unowned(base, 'no sandbox'),
      unowned(base, 'empty since now', ''),
    ];
    const [held = '', living = '', none = ''] = kept;
    const holder = await Supervisor.start({ directory: held });
    t.after(() => holder.finish());
    for (const path of [...left, held, none]) silence(path, A_WEEK_AGO);
    utimesSync(living, A_WEEK_AGO, A_WEEK_AGO);
    await end(t, base);
    for (const path of left) await removed(path);
    assert.deepEqual(
      kept.filter((path) => !existsSync(path)),
      [],
    );
    await holder.finish();
  });

  it('gives a sign of life when it starts', async (t) => {
    const path = stateDirectory(t, DEAD);
    silence(path, A_WEEK_AGO);
    const supervisor = await Supervisor.start({ directory: path });
    const signs = () => statSync(join(path, 'owner')).mtimeMs > A_WEEK_AGO.getTime();
    for (const deadline = Date.now() + SOON_MS; !signs(); await sleep(5)) assert.ok(Date.now() < deadline);
    await supervisor.finish();
  });
});

/** Starts a supervisor beside what is in `base`, and ends it. */
async function end(t: TestContext, base: string): Promise<void> {
  const supervisor = await Supervisor.start({ directory: stateDirectory(t, DEAD, base, 'own') });
  await supervisor.finish();
}

describe('the state directory of an owner of another PID namespace', () => {
  it('is taken by nobody while its supervisor holds it', async (t) => {
    const path = stateDirectory(t, ELSEWHERE);
    const supervisor = await Supervisor.start({ directory: path, command: ['sleep', '60'] });
    t.after(() => supervisor.finish());
    const remover = spawn(hostProgram('supervisor'), ['--remove-stale', path], { stdio: 'inherit' });
    assert.deepEqual(await once(remover, 'exit'), [1, null]);
    assert.equal(existsSync(path), true);
    await supervisor.finish();
    assert.equal(existsSync(path), false);
  });
});

describe('the alias of the state directory of a dead owner', () => {
  const aliased = (t: TestContext) => {
    const path = stateDirectory(t, DEAD);
    const alias = join(scratchDirectory(t), 'alias');
    mkdirSync(alias);
    symlinkSync(path, join(alias, 's'));
    symlinkSync(join(alias, 's'), join(path, 'alias'));
    return { path, alias };
  };

  it('is removed with it, also when the remover was killed before the directory had gone', (t) => {
    const { path, alias } = aliased(t);
    const killed = ['-f', '-qq', '-o', '/dev/null', '-e', 'inject=unlink:signal=KILL', hostProgram('supervisor')];
    assert.equal(spawnSync('strace', [...killed, '--remove-stale', path]).signal, 'SIGKILL');
    assert.equal(run('--remove-stale', path).status, 0);
    assert.deepEqual([path, alias].filter(existsSync), []);
    assert.deepEqual(readdirSync(dirname(path)), ['.lock']);
  });

  it('is locked while the supervisor runs, so that no program cleans it up', async (t) => {
    const { path, alias } = aliased(t);
    const lock = () => spawnSync('flock', ['--nonblock', alias, 'true']).status;
    assert.equal(lock(), 0);
    const supervisor = await Supervisor.start({ directory: path });
    assert.equal(lock(), 1);
    await supervisor.finish();
    assert.equal(existsSync(alias), false);
  });
});
