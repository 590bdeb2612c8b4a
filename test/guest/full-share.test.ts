/** A shared directory whose file system on the host has no space left. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chownSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { ACCEL } from '../helpers/acceleration.js';
import { embedded } from '../helpers/connections.js';
import { unlessProgram } from '../helpers/images.js';
import { assertNothingLeft, uniqueName, type WhereLeft } from '../helpers/leftovers.js';
import { OrdinaryUser, unlessOrdinaryUser } from '../helpers/ordinary-user.js';
import { assertRun, type RunOptions, startSandbox } from '../helpers/run.js';
import { freshDirectory, unlessRoot } from '../helpers/scratch.js';
import { bakeUsualFor, usualSnapshot } from '../helpers/usual-snapshot.js';

const SIZE = '8M';

/** Writes what is synced, then more than there is, then waits for space, and writes again. */
const SCRIPT = [
  'cd /mnt',
  'head -c 1M /dev/urandom >synced && sync synced && cksum <synced',
  'head -c 16M /dev/zero >large 2>error || cat error',
  '{ echo more >>log; } 2>&1 | grep -o "No space left on device\\|I/O error" | head -n 1',
  'dd if=/dev/zero of=more bs=1M count=16 conv=fsync 2>&1 | grep -o "No space left on device"',
  'cksum <synced; echo full; read line',
  'echo well >after && cat after; cksum <synced; exit 7',
].join('\n');

async function fills(
  base: string,
  uri: string,
  options: RunOptions,
  where?: WhereLeft,
  owner = { uid: 0, gid: 0 },
): Promise<void> {
  const [share, name] = [join(base, uniqueName()), uniqueName()];
  mkdirSync(share);
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${SIZE},mode=755`, share, share]);
  try {
    chownSync(share, owner.uid, owner.gid);
    const args = ['-c', uri, ...ACCEL, '-n', name, '-m', `host-bind:/mnt=${share}`, '-m', 'ram:/opt=1M'];
    const running = startSandbox([...args, '--', 'sh', '-c', SCRIPT], { ...options, input: 'open' });
    await running.until(/full/);
    for (const file of readdirSync(share).filter((file) => file !== 'synced')) rmSync(join(share, file));
    running.child.stdin?.end('\n');
    const result = await running.result;
    const [synced = '', ...lines] = result.out.trimEnd().split('\n');
    assert.deepEqual(lines.slice(-4), [synced, 'full', 'well', synced], result.out);
    assert.ok(
      lines.slice(0, -4).some((line) => line.includes('No space left on device')),
      result.out,
    );
    assertRun(result, 7, result.out);
    assert.equal(readFileSync(join(share, 'after'), 'utf8'), 'well\n');
    const kept = execFileSync('cksum', { input: readFileSync(join(share, 'synced')), encoding: 'utf8' });
    assert.equal(kept.trim(), synced);
  } finally {
    execFileSync('umount', ['--lazy', share]);
  }
  await assertNothingLeft(name, where);
}

it('a full host is ENOSPC in a directory over virtiofs, and what was synced is kept', {
  skip: embedded.skip || unlessProgram('virtiofsd') || unlessRoot('it mounts a small file system'),
}, async () => {
  const [base, usual] = [freshDirectory(), await usualSnapshot()];
  try {
    await fills(base, embedded.uri, { env: usual.env });
  } finally {
    usual.remove();
    rmSync(base, { recursive: true, force: true });
  }
});

it('the same over 9p', { skip: unlessOrdinaryUser() }, async () => {
  const user = await OrdinaryUser.create();
  try {
    await bakeUsualFor(user);
    await fills(user.home, 'qemu:///session', user.options, user.where, user);
  } finally {
    await user.end();
  }
});
