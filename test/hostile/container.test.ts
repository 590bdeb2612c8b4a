/**
 * Promise: user 0 of a container is nobody on the host, and reaches the host's kernel by what programs need only.
 * The attacker is user 0 inside. The victims are files that only the host's root may read, other containers, and the
 * host's kernel.
 */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { lxc } from '../helpers/connections.js';
import { CALLS, FAMILIES, MISSING } from '../helpers/container-calls.js';
import { elfOf } from '../helpers/elf.js';
import { unlessProgram } from '../helpers/images.js';
import { askInside } from '../helpers/inside.js';
import { processesWith, uniqueName } from '../helpers/leftovers.js';
import { assertFailure, assertRun, runSandbox, startSandbox } from '../helpers/run.js';

/** Outside /tmp, which a sandbox replaces. */
const ground = mkdtempSync('/var/tmp/virt-sandbox-hostile-');
chmodSync(ground, 0o755);
after(() => rmSync(ground, { recursive: true, force: true }));
const secret = join(ground, 'secret');
writeFileSync(secret, 'of root\n', { mode: 0o600 });
const closed = join(ground, 'closed');
mkdirSync(closed, { mode: 0o700 });
writeFileSync(join(closed, 'file'), 'of root too\n', { mode: 0o644 });
const shared = join(ground, 'shared');
mkdirSync(shared, { mode: 0o700 });

/** Gets its process ID by a system call of the 32-bit kind. Its status is 0, or the error. */
function oldProgram(): Buffer {
  const code = [
    ...[0xb8, 20, 0, 0, 0], // mov eax, 20 (getpid)
    ...[0xcd, 0x80], // int 0x80
    ...[0x31, 0xff], // xor edi, edi
    ...[0x85, 0xc0], // test eax, eax
    ...[0x79, 4], // jns exit
    ...[0xf7, 0xd8], // neg eax
    ...[0x89, 0xc7], // mov edi, eax
    ...[0xb8, 60, 0, 0, 0], // exit: mov eax, 60 (exit)
    ...[0x0f, 0x05], // syscall
  ];
  return elfOf(code);
}

const program = join(ground, 'old-program');
writeFileSync(program, oldProgram(), { mode: 0o755 });

const ENOSYS = 38;

const idsOf = (pid: number) => /^Uid:\t(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];

async function startWaiting(t: TestContext, args: readonly string[]) {
  const name = uniqueName();
  const word = `1000${Math.floor(Math.random() * 1e6)}`;
  const command = ['sh', '-c', `echo running; exec sleep ${word}`];
  const running = startSandbox(['-c', lxc.uri, '-n', name, ...args, '--', ...command], lxc.options);
  t.after(async () => {
    running.child.kill('SIGTERM');
    await running.result.catch(() => {});
  });
  await running.until(/running/);
  // The shell says so before it becomes the other program.
  for (const deadline = Date.now() + 10_000; Date.now() < deadline; await sleep(20)) {
    const found = processesWith(word).find((line) => line.replace(/^\d+ /, '') === `sleep ${word}`);
    if (found !== undefined) return Number.parseInt(found, 10);
  }
  throw new Error(`no program sleep ${word} runs`);
}

describe('user 0 in a container', { skip: lxc.skip || unlessProgram('perl'), concurrency: 2 }, () => {
  it('cannot read what only the host’s root may read', async () => {
    const found = await askInside(lxc, [], {
      shadow: 'head -c 4 /etc/shadow',
      secret: `cat ${secret}`,
      closed: `cat ${closed}/file`,
      id: 'id -u',
    });
    for (const answer of [found.shadow, found.secret, found.closed]) assert.match(answer, /: Permission denied$/);
    assert.equal(found.id, '0');
  });

  it('is another user of the host in each container, and none that the host has', async (t) => {
    const ids = await Promise.all([1, 2].map(async () => idsOf(await startWaiting(t, []))));
    assert.notEqual(ids[0], ids[1]);
    for (const id of ids) assert.ok(Number(id) >= 0x7c00_0000 && Number(id) < 0x7ffe_0000, id);
  });

  it('cannot make system calls that no program needs', async () => {
    const found = await askInside(lxc, [], { ...CALLS, ...MISSING, ...FAMILIES, old: `${program}; echo $?` });
    const refused = Object.keys(CALLS).map((name) => [name, 'Operation not permitted']);
    const missing = Object.keys(MISSING).map((name) => [name, 'Function not implemented']);
    const families = Object.keys(FAMILIES).map((name) => [name, 'Address family not supported by protocol']);
    const expected = Object.fromEntries([...refused, ...missing, ...families]);
    assert.deepEqual(found, { ...expected, old: String(ENOSYS) });
  });

  it('has what it is given: a directory of root’s, with its owners', async () => {
    writeFileSync(join(shared, 'given'), 'given\n', { mode: 0o600 });
    const found = await askInside(lxc, ['-m', `host-bind:/mnt=${shared}`, '-m', 'ram:/srv=1M'], {
      read: 'cat /mnt/given',
      write: 'umask 077; echo made >/mnt/made; stat -c %u:%g /mnt/given /mnt/made',
      memory: 'echo kept >/srv/file; stat -c %u /srv /srv/file',
    });
    assert.deepEqual(found, { read: 'given', write: '0:0\n0:0', memory: '0\n0' });
    const { uid, gid } = statSync(join(shared, 'made'));
    assert.deepEqual([uid, gid], [0, 0]);
  });
});

describe('a user of the host’s in a container', { skip: lxc.skip }, () => {
  it('is the same user outside, and user 0 is nobody there too', async (t) => {
    assert.equal(idsOf(await startWaiting(t, ['-S', 'nobody'])), '65534');
    const found = await askInside(lxc, ['-S', 'nobody'], {
      map: 'head -n 1 /proc/self/uid_map',
      secret: `cat ${secret}`,
    });
    const [inside, outside] = found.map.trim().split(/ +/).map(Number);
    assert.ok(inside === 0 && outside !== undefined && outside >= 0x7c00_0000, found.map);
    assert.match(found.secret, /: Permission denied$/);
  });

  it('can make user namespaces if they were asked for, and reads no more with one', async () => {
    const found = await askInside(lxc, ['--userns', '-S', 'nobody'], {
      namespace: `unshare --user --map-root-user sh -c 'id -u; cat ${secret}'`,
      mount: 'unshare --user --mount --map-root-user sh -c "mount -t tmpfs none /mnt && echo mounted"',
      kernel: CALLS.faults,
    });
    assert.match(found.namespace, /^0\n.*: Permission denied$/);
    assert.equal(found.mount, 'mounted');
    assert.equal(found.kernel, 'Operation not permitted');
  });
});

describe('an image for a container', { skip: lxc.skip || unlessProgram('qemu-img') }, () => {
  it('does not name files that root would open for it', async () => {
    const image = join(ground, 'a.qcow2');
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', '/etc/shadow', '-F', 'raw', image]);
    const result = await runSandbox(['-c', lxc.uri, '--disk', `file:a=${image}`, '--', 'true'], lxc.options);
    assertFailure(result, /has the backing file "\/etc\/shadow", which libvirt would give/, /qemu-img convert/);
  });
});

describe('a privileged container', { skip: lxc.skip }, () => {
  const BARRIER =
    /^virt-sandbox: warning: a privileged container is no barrier: root inside is root of the host's kernel/m;

  it('says that it is no barrier', async () => {
    const run = (...args: string[]) =>
      runSandbox(['-c', lxc.uri, ...args, '--', 'head', '-n', '1', secret], lxc.options);
    const { code, out, stderr } = await run('-p');
    assert.deepEqual([code, out], [0, 'of root\n']);
    assert.match(stderr, BARRIER);
    assert.equal(stderr.trim().split('\n').length, 1, stderr);
    const plain = await run();
    assert.doesNotMatch(plain.stderr, BARRIER);
    assertRun(await runSandbox(['-c', lxc.uri, '--', 'true'], lxc.options), 0, '');
  });
});
