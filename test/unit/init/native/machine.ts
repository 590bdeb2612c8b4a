/** Processes and files that the native init leaves on the test machine. */

import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { processesWith } from '../../../helpers/leftovers.js';

export async function scratch(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'native-init-files-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** Whether a process exists and is not a zombie. */
async function lives(pid: number): Promise<boolean> {
  const text = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => '');
  return text !== '' && !/^\d+ \(.*\) Z/s.test(text);
}

/** Waits until a process is gone. */
export async function gone(pid: number): Promise<void> {
  for (let i = 0; i < 200; i++) {
    if (!(await lives(pid))) return;
    await sleep(20);
  }
  assert.fail(`process ${pid} still lives`);
}

/**
 * A command of the shell that writes the numbers from 1, one every 50 ms. It starts no other program meanwhile, so that a
 * host without time does not make it silent for a second.
 */
export function countTo(last: number): string {
  return `bash -c 'exec 9<> <(:); for ((i = 1; i <= ${last}; i++)); do read -t 0.05 -u 9; echo $i; done'`;
}

/** What {@link countTo} writes. */
export function numbersTo(last: number): string {
  return Array.from({ length: last }, (_, index) => `${index + 1}\n`).join('');
}

/** Waits until every process with `text` in its arguments is gone. */
export async function allGone(text: string): Promise<void> {
  for (let i = 0; i < 200; i++) {
    if (processesWith(text).length === 0) return;
    await sleep(20);
  }
  assert.deepEqual(processesWith(text), [], 'processes that still live');
}
