/**
 * Promise: a program of an OCI image is not run as the init, also in a start that is measured. A look into a guest runs a
 * shell as the init, for the clock and the kernel's log. The attacker has made the image, with a shell of its own.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { it, type TestContext } from 'node:test';
import type { Mark } from '../../src/util/marks.js';
import { ACCEL } from '../helpers/acceleration.js';
import { embedded } from '../helpers/connections.js';
import { busyboxImage, layoutWith, unlessImages } from '../helpers/oci/busybox.js';
import { assertRun, type RunResult, runSandbox } from '../helpers/run.js';
import { scratchDirectory, WITH_ATTRIBUTES } from '../helpers/scratch.js';

const skip = embedded.skip || unlessImages();
const TRAP = '#!/bin/busybox sh\necho run >>/run-by-init\nexec /bin/busybox sh "$@"\n';
const ON = ['-c', embedded.uri, ...ACCEL];

type Traced = Pick<Mark, 'name' | 'detail'>;

/** Runs with a trace that has the guest's clock and log, where those are looked at. */
async function measured(t: TestContext, words: readonly string[]): Promise<{ result: RunResult; marks: Traced[] }> {
  const trace = join(scratchDirectory(t), 'trace');
  const result = await runSandbox(words, { env: { VIRT_SANDBOX_TRACE: `guest:${trace}` } });
  const lines = readFileSync(trace, 'utf8').trimEnd().split('\n');
  return { result, marks: lines.map((line) => JSON.parse(line) as Traced) };
}

/** What a look into the guest leaves in a trace: src/sandbox/setup/inspect-guest.ts. */
function inspections(marks: readonly Traced[]): Traced[] {
  return marks.filter(({ name }) => name.startsWith('inspect.'));
}

it('programs of an image are not run as the init, when a start is measured neither', { skip }, async (t) => {
  const traps = ['bin/sh', 'bin/dmesg', 'bin/awk'].map((name) => ({ name, data: TRAP, mode: 0o755 }));
  const image = layoutWith(scratchDirectory(t, WITH_ATTRIBUTES), busyboxImage({}, traps));
  const words = [...ON, '--root', image, '--'];
  const { result, marks } = await measured(t, [...words, '/bin/busybox', 'ls', '/run-by-init']);
  assert.deepEqual([result.code, result.stderr], [1, 'ls: /run-by-init: No such file or directory\n']);
  assert.ok(marks.some(({ name }) => name === 'spawned'));
  assert.deepEqual(inspections(marks), []);
  // It is a trap all the same, for whoever runs this shell.
  assertRun(await runSandbox([...words, '/bin/sh', '-c', '/bin/busybox cat /run-by-init']), 0, 'run\n');
});

it('a guest with the root of the host is looked into by such a start, with that shell', { skip }, async (t) => {
  const { result, marks } = await measured(t, [...ON, '--', 'true']);
  assertRun(result, 0, '');
  const found = inspections(marks);
  assert.deepEqual([...new Set(found.map(({ name }) => name))], ['inspect.clock', 'inspect.log', 'inspect.done']);
  const log = found.find(({ name }) => name === 'inspect.log')?.detail;
  assert.equal(log?.['status'], 0, JSON.stringify(log));
  // The shell has written it to the log, and dmesg and awk have printed that.
  assert.match(String(log['text']), / virt-sandbox-clock$/m);
});
