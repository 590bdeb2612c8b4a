/** Locks on files. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { lockFile, withLock } from '../../../src/oci/lock.js';
import { rejectsWith } from '../../helpers/errors.js';
import { scratchDirectory } from '../../helpers/scratch.js';

it('many may have it shared, and one alone', async (context) => {
  const path = join(scratchDirectory(context), 'lock');
  const first = await lockFile(path, 'shared');
  const second = await lockFile(path, 'shared');
  const order: string[] = [];
  let alone: Promise<void> | undefined;
  await new Promise<void>((resolve) => {
    alone = withLock(path, 'exclusive', { onWait: resolve }, async () => {
      order.push('alone');
    });
  });
  order.push('shared');
  await first?.close();
  await second?.close();
  await alone;
  assert.deepEqual(order, ['shared', 'alone']);
});

it('a wait ends when the work is cancelled, or the caller says so', async (context) => {
  const path = join(scratchDirectory(context), 'lock');
  const holder = await lockFile(path, 'exclusive');
  const controller = new AbortController();
  const { signal } = controller;
  await rejectsWith(lockFile(path, 'shared', { signal, onWait: () => controller.abort() }), 'aborted');
  const onWait = () => {
    throw new RangeError('busy');
  };
  await assert.rejects(lockFile(path, 'exclusive', { onWait }), RangeError);
  await holder?.close();
});

it('a file that is renamed under its lock is no lock any more', async (context) => {
  const directory = scratchDirectory(context);
  const path = join(directory, 'lock');
  const holder = await lockFile(path, 'exclusive');
  let renamed = false;
  const onWait = () => {
    if (renamed) return;
    renamed = true;
    renameSync(path, join(directory, 'done'));
    void holder?.close();
  };
  assert.equal(await lockFile(path, 'exclusive', { onWait }), undefined);
  let isNew = false;
  await withLock(path, 'exclusive', {}, async () => {
    isNew = true;
  });
  assert.ok(isNew);
});

it('the lock of a process that is killed goes with it', async (context) => {
  const path = join(scratchDirectory(context), 'lock');
  const child = spawn('flock', [path, 'sh', '-c', 'echo locked; exec sleep 1000'], {
    stdio: ['ignore', 'pipe', 'ignore'],
    detached: true,
  });
  await once(child.stdout, 'data');
  let waits = 0;
  const onWait = () => {
    waits += 1;
    // flock and its program both have the file.
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  };
  const file = await lockFile(path, 'exclusive', { onWait });
  assert.ok(waits > 0 && file !== undefined);
  await file.close();
});
