/**
 * What the launcher does itself because libvirt is slower: it resumes the machine through a monitor of its own when
 * nothing has to be set up before, and it ends the QEMU processes.
 */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { embedded, system, type Way } from '../helpers/connections.js';
import { unlessProgram } from '../helpers/images.js';
import { assertRun, runSandbox } from '../helpers/run.js';
import { scratchDirectory } from '../helpers/scratch.js';

/** What a run reports about itself: src/util/marks.ts. */
async function marksOf(t: TestContext, way: Way, options: readonly string[]): Promise<string[]> {
  const trace = join(scratchDirectory(t), 'trace');
  const env = { VIRT_SANDBOX_TRACE: trace };
  const result = await runSandbox(['-c', way.uri, ...options, '--', 'true'], { ...way.options, env });
  assertRun(result, 0, '');
  const lines = readFileSync(trace, 'utf8').trimEnd().split('\n');
  return lines.map((line) => (JSON.parse(line) as { name: string }).name);
}

for (const way of [embedded, system])
  describe(`a machine over ${way.uri}`, { skip: way.skip, concurrency: 2 }, () => {
    it('is resumed by the launcher', async (t) => {
      const marks = await marksOf(t, way, []);
      assert.ok(marks.includes('domain.created'));
      assert.ok(marks.includes('machine.running'));
    });

    it('is resumed by libvirt when it has limits', async (t) => {
      const marks = await marksOf(t, way, ['--cpu-pin', '0']);
      assert.ok(marks.includes('domain.created'));
      assert.ok(!marks.includes('machine.running'));
    });

    it('is ended by the launcher, and virtiofsd with it', { skip: unlessProgram('virtiofsd') }, async (t) => {
      const marks = await marksOf(t, way, ['-m', 'host-bind:/mnt=', '-m', 'host-bind:/opt=']);
      const killed = marks.filter((mark) => mark.endsWith('.killed'));
      // Here libvirt has started that of the root too, and elsewhere root-view.
      const ofRoot = way === system ? ['virtiofsd.killed'] : [];
      assert.deepEqual(killed, [...ofRoot, 'virtiofsd.killed', 'virtiofsd.killed', 'qemu.killed']);
    });
  });
