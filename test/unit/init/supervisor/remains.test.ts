/** Which processes end with a sandbox whose launcher and supervisor are dead, how they are told, and what is left. */

import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { valueOr } from '../../../../src/util/errors.js';
import { hostProgram } from '../../../../src/util/programs.js';
import { sphere } from '../../../../src/util/sphere.js';
import { scratchDirectory, unlessRoot } from '../../../helpers/scratch.js';

/** No process has this ID: it is beyond what the kernel gives. */
const DEAD = '4194304 1';

/** In milliseconds, for what happens without a word. More than any limit of the supervisor's. */
const SOON_MS = 30_000;

const SUPERVISOR = hostProgram('supervisor');

/** Waits until it is killed. */
const WAIT = 'echo ready; read line';

function stateDirectory(t: TestContext, name = 'state'): string {
  const path = join(scratchDirectory(t), name);
  mkdirSync(path);
  writeFileSync(join(path, 'owner'), `${DEAD}\n`);
  return path;
}

const removeStale = (path: string) => spawnSync(SUPERVISOR, ['--remove-stale', path], { encoding: 'utf8' });

/** Starts a stand-in; resolves when it has said a line. */
async function started(t: TestContext, [program = '', ...args]: readonly string[], argv0 = program) {
  const child = spawn(program, args, { argv0, stdio: ['pipe', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  await once(child.stdout, 'data', { signal: AbortSignal.timeout(SOON_MS) });
  return child;
}

const endOf = (child: ChildProcess) => once(child, 'exit', { signal: AbortSignal.timeout(SOON_MS) });

/** That no signal has ended it: it ends by itself, at the end of its input. */
async function assertLives(child: ChildProcess): Promise<void> {
  const ended = endOf(child);
  child.stdin?.end();
  assert.equal((await ended)[1], null);
}

/** A QEMU of the state directory, for all that its command line tells. */
const qemu = (path: string, name: string, code = WAIT) =>
  ['sh', '-c', code, `guest=${name},debug-threads=on`, `socket,path=${path}/channel`] as const;

/** It ends when its process 1 has, which ends with its input. */
const CONTROLLER = 'exec 2>/dev/null 3<&0; read line <&3 & echo ready; wait $!';

/** How it ends when that was killed. */
const WITH_PROCESS_1 = [137, null];

/** The controller of a container, for all that its command line tells. */
const container = (t: TestContext, name: string, code = CONTROLLER) =>
  started(t, ['sh', '-c', code, '--name', name], 'libvirt_lxc');

/** Neither it nor its process 1 was killed. */
async function assertUntouched(controller: ChildProcess): Promise<void> {
  const ended = endOf(controller);
  controller.stdin?.end();
  assert.deepEqual(await ended, [1, null]);
}

/** In a mount namespace of its own: after $1 seconds libvirt says that $2 is the controller. $4 removes $3. */
const STARTED = `
mkdir -p /run/libvirt
mount -t tmpfs tmpfs /run/libvirt
mkdir /run/libvirt/lxc
{ sleep "$1"; echo "$2" > /run/libvirt/lxc/state.pid; } &
test "$1" != 0 || wait
exec "$4" --remove-stale "$3"`;

/** A virtiofsd that holds the lock on its PID file, as libvirt has it do. */
const LOCKED = `
  const koffi = require('koffi');
  const file = require('node:fs').openSync(process.argv[1], 'w');
  require('node:fs').writeSync(file, String(process.pid));
  const lock = Buffer.alloc(32);
  lock.writeInt16LE(1);
  const fcntl = koffi.load('libc.so.6').func('int fcntl(int fd, int command, ...)');
  if (fcntl(file, 6, 'void *', lock) !== 0) process.exit(1);
  console.log('ready');
  setInterval(() => {}, 1e6);
`;

function pidDirectory(path: string): string {
  const pids = join(path, 'libvirt/run/qemu');
  mkdirSync(pids, { recursive: true });
  return pids;
}

describe('with the state directory of a dead owner', () => {
  it('end its QEMU, and the virtiofsd that holds the lock of its PID file', async (t) => {
    const path = stateDirectory(t);
    const machine = await started(t, qemu(path, 'state'));
    const pidFile = join(pidDirectory(path), '1-state-fs0-fs.pid');
    const server = await started(t, [process.execPath, '-e', LOCKED, pidFile, '--shared-dir', '/']);
    const ended = Promise.all([machine, server].map(endOf));
    assert.equal(removeStale(path).status, 0);
    assert.deepEqual(await ended, [
      [null, 'SIGTERM'],
      [null, 'SIGTERM'],
    ]);
  });

  it('ends no process that has the ID of a PID file by chance', async (t) => {
    const path = stateDirectory(t);
    const other = await started(t, ['sh', '-c', WAIT, '--shared-dir', '/']);
    writeFileSync(join(pidDirectory(path), '1-state-fs0-fs.pid'), String(other.pid));
    assert.equal(removeStale(path).status, 0);
    await assertLives(other);
  });

  it('ends no process that sees another directory at its path', {
    skip: unlessRoot('makes a mount namespace'),
  }, async (t) => {
    const path = stateDirectory(t);
    const mount = 'mount -t tmpfs none "$1" && mkdir "$2" && shift 2 && exec "$@"';
    const inside = ['unshare', '--mount', 'sh', '-c', mount, 'sh', dirname(path), path, ...qemu(path, 'state')];
    const other = await started(t, inside);
    assert.equal(removeStale(path).status, 0);
    await assertLives(other);
  });

  it('ends a QEMU whose name and path have a comma, which is doubled there', async (t) => {
    const path = stateDirectory(t, 'a,b');
    const machine = await started(t, qemu(path.replaceAll(',', ',,'), 'a,,b'));
    const ended = endOf(machine);
    assert.equal(removeStale(path).status, 0);
    assert.deepEqual(await ended, [null, 'SIGTERM']);
  });

  it('tells a driver once to end, and kills it when it does not', async (t) => {
    const path = stateDirectory(t);
    const told = join(dirname(path), 'told');
    const code = `trap 'echo told >> "$0"' TERM; echo ready; while :; do sleep 0.05; done`;
    const words = ['sh', '-c', code, told, '-r', join(path, 'libvirt')];
    const driver = await started(t, words, 'virt-qemu-run');
    const ended = endOf(driver);
    assert.equal(removeStale(path).status, 0);
    assert.deepEqual(await ended, [null, 'SIGKILL']);
    assert.equal(readFileSync(told, 'utf8'), 'told\n');
  });

  it('ends a container that outlives its holder, by its process 1, and no other process with that ID', async (t) => {
    const path = stateDirectory(t);
    const controller = await container(t, 'state');
    writeFileSync(join(path, 'container'), `${controller.pid}\n`);
    const ended = endOf(controller);
    assert.equal(removeStale(path).status, 0);
    assert.deepEqual(await ended, WITH_PROCESS_1);
    const others = [await container(t, 'state2'), await started(t, ['sh', '-c', CONTROLLER, '--name', 'state'])];
    for (const other of others) {
      const next = stateDirectory(t);
      writeFileSync(join(next, 'container'), `${other.pid}\n`);
      assert.equal(removeStale(next).status, 0);
      await assertUntouched(other);
    }
  });

  it('kills the controller of a container that does not end after its process 1', async (t) => {
    const path = stateDirectory(t);
    const controller = await container(t, 'state', `${CONTROLLER}; read line <&3`);
    writeFileSync(join(path, 'container'), `${controller.pid}\n`);
    const ended = endOf(controller);
    assert.equal(removeStale(path).status, 0);
    assert.deepEqual(await ended, [null, 'SIGKILL']);
  });

  for (const { what, note, isOld = true, late = '0', ends } of [
    { what: 'that libvirt has started meanwhile', note: () => '0 0\n', ends: true },
    { what: 'that libvirt is starting', note: () => '0 0\n', isOld: false, late: '0.5', ends: true },
    { what: 'of a note that was not written to its end', note: () => '0 ', ends: true },
    { what: 'that was there before', note: (pid: number) => `0 ${pid}\n`, ends: false },
    { what: 'of another where libvirt was not asked', note: () => '', ends: false },
  ])
    it(`${ends ? 'ends' : 'leaves'} a container ${what}`, {
      skip: unlessRoot('makes a mount namespace'),
    }, async (t) => {
      const path = stateDirectory(t);
      const file = join(path, 'container');
      const controller = await container(t, 'state');
      const { pid = 0 } = controller;
      writeFileSync(join(path, 'owner'), `${DEAD} ${sphere()}\n`);
      writeFileSync(file, note(pid));
      if (isOld) utimesSync(file, 0, 0);
      const ended = endOf(controller);
      const { status, stderr } = spawnSync(
        'unshare',
        ['--mount', 'sh', '-euc', STARTED, 'sh', late, `${pid}`, path, SUPERVISOR],
        {
          encoding: 'utf8',
        },
      );
      assert.equal(status, 0, stderr);
      if (ends) assert.deepEqual(await ended, WITH_PROCESS_1);
      else await assertUntouched(controller);
    });

  it('waits for a process whose command line is gone before it is', async (t) => {
    const path = stateDirectory(t);
    const code =
      "process.on('SIGTERM', () => { process.title = 'ending'; }); console.log('ready'); setInterval(() => {}, 1e6);";
    const machine = await started(t, [process.execPath, '-e', code, ...qemu(path, 'state').slice(3)]);
    const ended = endOf(machine);
    assert.equal(removeStale(path).status, 0);
    assert.deepEqual(await ended, [null, 'SIGKILL']);
  });
});

describe('a process that is to remove a state directory', () => {
  it('leaves the next one of that name and its supervisor alone', async (t) => {
    const path = stateDirectory(t);
    const aside = `${path}-aside`;
    // It has the lock, and whoever wants to remove the directory waits for it.
    await started(t, [SUPERVISOR, path]);
    const remover = spawn(SUPERVISOR, ['--remove-stale', path], { stdio: 'inherit' });
    const ended = endOf(remover);
    const links = () => {
      const fds = `/proc/${remover.pid}/fd`;
      return valueOr(() => readdirSync(fds).map((fd) => readlinkSync(join(fds, fd))), []);
    };
    for (const deadline = Date.now() + SOON_MS; !links().includes(join(path, 'owner')); await sleep(1))
      assert.ok(Date.now() < deadline);
    renameSync(path, aside);
    mkdirSync(path);
    writeFileSync(join(path, 'owner'), `${process.pid} ${startTime()}\n`);
    const next = await started(t, [SUPERVISOR, path]);
    assert.deepEqual(await ended, [0, null]);
    assert.equal(existsSync(path), true);
    await assertLives(next);
    assert.equal(existsSync(path), false);
  });

  it('removes a tree deeper than any path', (t) => {
    const path = stateDirectory(t);
    const deeper = `for (let i = 0; i < 60; i++) { fs.mkdirSync('${'d'.repeat(200)}'); process.chdir('${'d'.repeat(200)}'); fs.writeFileSync('file', ''); }`;
    assert.equal(spawnSync(process.execPath, ['-e', deeper], { cwd: path }).status, 0);
    const { status, stderr } = removeStale(path);
    assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
    assert.deepEqual(readdirSync(dirname(path)), ['.lock']);
  });

  it('removes directories without rights', { skip: unlessRoot('takes another user') }, (t) => {
    const base = scratchDirectory(t);
    const make = `mkdir -p "$1/state/a/b/c/d" "$1/state/e/f" && echo '${DEAD}' > "$1/state/owner"
      touch "$1/state/a/file" "$1/state/a/b/c/d/file"
      chmod 0 "$1/state/a/b/c/d" "$1/state/a/b/c" "$1/state/a/b" "$1/state/a" "$1/state/e/f" "$1/state/e"
      exec "$2" --remove-stale "$1/state"`;
    spawnSync('chown', ['65534', base]);
    const words = ['--reuid=65534', '--clear-groups', 'sh', '-c', make, 'sh', base, SUPERVISOR];
    const { status, stderr } = spawnSync('setpriv', words, { encoding: 'utf8' });
    assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
    assert.deepEqual(readdirSync(base), ['.lock']);
  });
});

function startTime(): string {
  const stat = readFileSync('/proc/self/stat', 'utf8');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
}
