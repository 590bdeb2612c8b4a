/** Which processes end with a sandbox whose launcher and supervisor are dead, how they are told, and what is left. */

import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { valueOr } from '../../../../src/util/errors.js';
import { hostProgram } from '../../../../src/util/programs.js';
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
    const container = (name: string, code = WAIT) => started(t, ['sh', '-c', code, '--name', name], 'libvirt_lxc');
    const path = stateDirectory(t);
    // The controller ends when its process 1 has.
    const controller = await container('state', 'sleep 1000 & echo ready; wait');
    writeFileSync(join(path, 'container'), `${controller.pid}\n`);
    const ended = endOf(controller);
    assert.equal(removeStale(path).status, 0);
    assert.deepEqual(await ended, [0, null]);
    for (const other of [await container('state2'), await started(t, ['sh', '-c', WAIT, '--name', 'state'])]) {
      const next = stateDirectory(t);
      writeFileSync(join(next, 'container'), `${other.pid}\n`);
      assert.equal(removeStale(next).status, 0);
      assert.notEqual(readFileSync(`/proc/${other.pid}/cmdline`, 'utf8'), '');
    }
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
