/** The copy of a snapshot's memory to a QEMU, without one: perl has a file of memory as QEMU would. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { SHARED_MEMORY_LINK } from '../../../../src/domain/snapshot.js';
import { SNAPSHOT_MEMORY, type Snapshot } from '../../../../src/image/snapshot/record.js';
import { fillMemory } from '../../../../src/sandbox/snapshot/memory.js';
import { unlessProgram } from '../../../helpers/images.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

/** memfd_create(2) by its number. $1: how many. */
const HOLDS = `$^F = 99; my $number = { x86_64 => 319, aarch64 => 279 }->{(POSIX::uname())[4]};
for (1 .. $ARGV[0]) { my $name = $ARGV[1]; my $fd = syscall($number, $name, 0); die $! if $fd < 0; print "$fd\\n"; }
$| = 1; print "up\\n"; <STDIN>;`;

const NAME = 'of-a-test';

/** @param count how many files of memory it has */
async function qemuWith(t: TestContext, count: number) {
  const name = SHARED_MEMORY_LINK.replace(/^\/memfd:| \(deleted\)$/g, '');
  const words = ['-MPOSIX', '-e', HOLDS, '--', `${count}`, name, `guest=${NAME}`];
  const child = spawn('perl', words, { stdio: ['pipe', 'pipe', 'inherit'] });
  t.after(() => child.stdin.end());
  let said = '';
  while (!said.endsWith('up\n')) said += String((await once(child.stdout, 'data'))[0]);
  return { pid: child.pid ?? 0, memory: `/proc/${child.pid}/fd/${Number.parseInt(said, 10)}` };
}

function snapshotOf(t: TestContext, text: string): Snapshot {
  const directory = scratchDirectory(t);
  writeFileSync(join(directory, SNAPSHOT_MEMORY), text);
  return { directory } as Snapshot;
}

function pending() {
  let reject: (error: Error) => void = () => {};
  const promise = new Promise<void>((_, no) => {
    reject = no;
  });
  return { promise, reject };
}

/** What is rejected meanwhile and nobody handles, which would end the launcher. */
function unhandled(t: TestContext): unknown[] {
  const found: unknown[] = [];
  const note = (reason: unknown) => found.push(reason);
  process.on('unhandledRejection', note);
  t.after(() => process.off('unhandledRejection', note));
  return found;
}

describe('the memory of a machine that shares it', { skip: unlessProgram('perl') }, () => {
  it('is written as soon as QEMU has it, and a QEMU that ends then is its caller’s to notice', async (t) => {
    const found = unhandled(t);
    const { pid, memory } = await qemuWith(t, 1);
    const { promise, reject } = pending();
    await fillMemory({ pid, name: NAME, answered: promise }, snapshotOf(t, 'content'));
    assert.equal(readFileSync(memory, 'utf8'), 'content');
    reject(new Error('QEMU ended'));
    await assert.rejects(promise, /QEMU ended/);
    await nextTurn();
    assert.deepEqual(found, []);
  });

  it('is refused once where it cannot be told which it is, whatever QEMU does then', async (t) => {
    const found = unhandled(t);
    const { pid } = await qemuWith(t, 2);
    const { promise, reject } = pending();
    const filled = fillMemory({ pid, name: NAME, answered: promise }, snapshotOf(t, 'content'));
    await assert.rejects(filled, /QEMU's memory cannot be written: it has several that are shared/);
    reject(new Error('QEMU ended'));
    await assert.rejects(promise, /QEMU ended/);
    await nextTurn();
    assert.deepEqual(found, []);
  });
});
