/** Processes and files that the native init leaves on the test machine. */

import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

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
