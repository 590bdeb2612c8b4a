/** Baking that fails or is interrupted: the old image stays, and nothing else is left. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chownSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { valueOr } from '../../src/util/errors.js';
import { ACCEL } from '../helpers/acceleration.js';
import { bakeJson, runBake } from '../helpers/bake.js';
import { embedded } from '../helpers/connections.js';
import { hidden, programPaths } from '../helpers/hide.js';
import { unlessServingKernel } from '../helpers/kernels.js';
import { processesWith } from '../helpers/leftovers.js';
import {
  assertFailure,
  assertRun,
  PROGRAM,
  type Running,
  type RunResult,
  runSandbox,
  startSandbox,
} from '../helpers/run.js';
import { freshDirectory, scratchDirectory } from '../helpers/scratch.js';
import { bakeSnapshot } from '../helpers/snapshots.js';

const WARM = ['create', '--warm', '-c', embedded.uri, '--for', ACCEL.join(' ')];

interface Found {
  readonly id: string;
  readonly names: readonly string[];
}

/** Every entry of a directory, with the data that tells one file from another. */
function contents(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .sort()
    .map((name) => {
      const { ino, mtimeMs, size } = statSync(join(directory, name));
      return `${name} ${ino} ${mtimeMs} ${size}`;
    });
}

/** Expects one line that begins so. */
function assertOneLine({ code, out, stderr }: RunResult, expected: number, pattern: RegExp): void {
  assert.deepEqual({ code, out }, { code: expected, out: '' }, stderr);
  assert.match(stderr, /^virt-sandbox-bake: [a-z]+: [^\n]+; [^\n]+\n(?: {2}guest: [^\n]*\n)*$/);
  assert.match(stderr, pattern);
}

describe('interrupted baking', { skip: unlessServingKernel || embedded.skip }, () => {
  const cache = freshDirectory();
  const store = { env: { XDG_CACHE_HOME: cache } };
  const output = join(cache, 'out');
  /** The directory with the snapshots of the image `web`. */
  let warm = '';
  let snapshot = '';
  before(async () => {
    // For the next test. It makes the store, too, which QEMU's user must be able to enter.
    const through = ['sh', '-c', 'umask 077; exec "$@"', 'sh'];
    const { image, warm: directory } = await bakeSnapshot(['-c', embedded.uri, '--name', 'web'], { ...store, through });
    warm = join(image, 'warm');
    snapshot = directory;
    // An image is the same in a directory of its own.
    execFileSync('cp', ['-a', image, output]);
  });
  after(() => rmSync(cache, { recursive: true, force: true }));

  const start = (args: readonly string[]): Running =>
    startSandbox([...WARM, ...args], { ...store, program: `${PROGRAM}-bake` });

  /**
   * Signals the baker when it has reached this point. It stands still while that is looked at for good: a look that is
   * late, on a busy host, would else see what the baker has left by the time of the signal.
   */
  async function endAt(
    running: Running,
    hasCome: (workspace: string) => boolean,
    signal: NodeJS.Signals,
  ): Promise<void> {
    let ended = false;
    running.result.finally(() => {
      ended = true;
    });
    const isThere = () => {
      const [name] = valueOr(() => readdirSync(warm), []).filter((entry) => entry.startsWith('.build-'));
      return name !== undefined && valueOr(() => hasCome(join(warm, name)), false);
    };
    for (; !ended; await delay(2)) {
      if (!isThere()) continue;
      running.child.kill('SIGSTOP');
      while (!ended && !/\) [TZ]/.test(valueOr(() => readFileSync(`/proc/${running.pid}/stat`, 'latin1'), '')))
        await delay(2);
      const isStill = isThere();
      if (isStill) running.child.kill(signal);
      running.child.kill('SIGCONT');
      if (isStill) return;
    }
    assert.fail(`the baker has ended before: ${running.stderr()}`);
  }

  /** Expects no machine, and the old snapshot unchanged. */
  async function assertOld(before: readonly string[], clearsUp: boolean): Promise<void> {
    for (let tries = 0; processesWith(warm).length > 0 && tries < 100; tries += 1) await delay(100);
    assert.deepEqual(processesWith(warm), []);
    assert.deepEqual(contents(snapshot), before);
    if (clearsUp) await bakeJson(cache, ['create']);
    assert.deepEqual(
      readdirSync(warm).map((name) => join(warm, name)),
      [snapshot],
    );
    assertRun(await runBake(cache, ['verify', 'web']), 0, 'web: whole\n');
  }

  it('does not fail with a umask of 077', async () => {
    // `web` was baked with it.
    const args = ['-c', embedded.uri, ...ACCEL, '--boot', 'warm', '--', 'head', '-n1', '/etc/passwd'];
    const first = readFileSync('/etc/passwd', 'utf8').split('\n')[0];
    assertRun(await runSandbox(args, store), 0, `${first}\n`);
  });

  it('without QEMU: name and directory stay unchanged', async () => {
    const before = contents(output);
    const named = async () => (await bakeJson<Found[]>(cache, ['list'])).find(({ names }) => names.includes('web'))?.id;
    const id = await named();
    const result = await runBake(cache, [...WARM, '--with', 'overlay', '--name', 'web', '-o', output], {
      through: hidden(...programPaths('qemu-system-x86_64')),
    });
    assertOneLine(result, 125, /./);
    assert.equal(await named(), id);
    assert.deepEqual(contents(output), before);
    assert.deepEqual(
      readdirSync(cache).filter((name) => name.startsWith('.build-')),
      [],
    );
    // And the old snapshot still works.
    const dry = ['--image', output, '-c', embedded.uri, ...ACCEL, '--boot', 'warm', '--dry-run', '--', 'true'];
    assert.match((await runSandbox(dry, store)).out, /^warmImage: \S+\/images\/\.imported\/\w+\/warm\//m);
  });

  it("by a memory too small to boot: reports the kernel's message", async () => {
    const machine = [...ACCEL, '--memory', '64M'].join(' ');
    const result = await runBake(cache, ['create', '--warm', '-c', embedded.uri, '--for', machine]);
    assertOneLine(result, 125, /the guest's kernel panicked before .*deadlocked on memory; give it more memory with/);
  });

  it('is refused at the start, with the reason, for a sandbox that could not use a snapshot', async () => {
    const say = async (options: string) =>
      (
        await runBake(cache, ['create', '--warm', '-c', embedded.uri, '--for', options], {
          through: hidden(...programPaths('qemu-system-x86_64')),
        })
      ).stderr.split('\n')[0] ?? '';
    assert.match(
      await say('--shell'),
      /^virt-sandbox-bake: warning: a sandbox with the options of --for will boot cold, because it has a debug shell$/,
    );
    assert.doesNotMatch(await say('-m host-bind:/mnt=/tmp'), /warning/);
    assert.doesNotMatch(await say('-m ram:/mnt=1M'), /warning/);
  });

  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    it(`by ${signal}: the machine ends and leaves nothing`, async () => {
      const before = contents(snapshot);
      const running = start([]);
      await endAt(running, (workspace) => statSync(join(workspace, 'memory')).blocks > 0, signal);
      assertOneLine(await running.result, code, /baking was aborted, and nothing was changed/);
      await assertOld(before, false);
    });
  }

  for (const [moment, hasCome] of [
    ['the machine boots', (workspace: string) => statSync(join(workspace, 'memory')).blocks > 0],
    ['it is being saved', (workspace: string) => statSync(join(workspace, 'state')).size > 0],
    ['it is saved', (workspace: string) => (statSync(join(workspace, 'memory')).mode & 0o777) === 0o440],
  ] as const) {
    it(`by SIGKILL while ${moment}: the old snapshot stays, and the next create cleans up`, async () => {
      const before = contents(snapshot);
      const running = start(['--name', 'web']);
      await endAt(running, hasCome, 'SIGKILL');
      assert.equal((await running.result).signal, 'SIGKILL');
      await assertOld(before, true);
    });
  }

  it('by a full disk: reports it with a remedy', async (context) => {
    const small = join(scratchDirectory(context), 'small');
    mkdirSync(small);
    // Enough for the boot image, but not for the machine's memory.
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=80m,mode=755', 'tmpfs', small]);
    try {
      assertOneLine(
        await runBake(small, [...WARM, '--name', 'web']),
        125,
        /^virt-sandbox-bake: image: no space is left in \S+ for a snapshot; free \d+ MB there, or set XDG_CACHE_HOME/,
      );
      const [image] = await bakeJson<(Found & { warm: unknown[] })[]>(small, ['list']);
      assert.deepEqual({ names: image?.names, warm: image?.warm }, { names: [], warm: [] });
    } finally {
      execFileSync('umount', [small]);
    }
  });

  // Last, because QEMU cannot open the snapshot after it.
  it('is like no baking when QEMU cannot open the snapshot: sandboxes boot cold', async () => {
    const start = (...options: readonly string[]) =>
      runSandbox(['-c', embedded.uri, ...ACCEL, ...options, '--', 'echo', 'once'], store);
    const { gid } = statSync(join(snapshot, 'state'));
    chownSync(join(snapshot, 'state'), 0, 0);
    const { code, out, stderr } = await start('-v');
    assert.deepEqual({ code, out }, { code: 0, out: 'once\n' }, stderr);
    assert.match(stderr, /^virt-sandbox: boot: cold, because the snapshot \S+ cannot be started from/m);
    assertFailure(await start('--boot', 'warm'), /the snapshot \S+ cannot be started from/);
    chownSync(join(snapshot, 'state'), 0, gid);
  });
});
