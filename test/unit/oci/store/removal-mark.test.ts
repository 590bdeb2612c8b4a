/** A file system is removed beside starts that take it: in every order, by processes, and by one that is killed. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises';
import { lockFile } from '../../../../src/oci/lock.js';
import { pullImage } from '../../../../src/oci/pull/pull.js';
import { pruneStore } from '../../../../src/oci/store/remove.js';
import { type LeasedRoot, readKept, useRoot, usersOf } from '../../../../src/oci/store/roots.js';
import { removeTag } from '../../../../src/oci/store/tags.js';
import { parseRootImage } from '../../../../src/oci-names/root-image.js';
import { valueOr } from '../../../../src/util/errors.js';
import { rejectsWith, throwsWith } from '../../../helpers/errors.js';
import { holdsDuring } from '../../../helpers/meanwhile.js';
import { testImage, writeLayout } from '../../../helpers/oci/image.js';
import { beforeEachStep } from '../../../helpers/oci/steps.js';
import { type TestStore, testStore } from '../../../helpers/oci/store.js';
import { tarOf } from '../../../helpers/oci/tar.js';
import { programOf } from '../../../helpers/programs.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

const PASSWD = 'user:x:1000:1000::/home/user:/bin/sh\n';

interface Store extends TestStore {
  readonly id: string;
  /** Puts the file system there, which nobody has removed. */
  put(): void;
  isThere(): boolean;
  /** What a start does with it; undefined: there is none. */
  start(): Promise<LeasedRoot | undefined>;
}

/** A store with a file system that no name needs. */
async function withRoot(context: TestContext): Promise<Store> {
  const store = testStore(context);
  const { paths } = store;
  const layout = join(scratchDirectory(context), 'layout');
  const image = testImage([tarOf({ name: 'etc/passwd', data: PASSWD })]);
  writeLayout(layout, image.blobs, [{ blob: image.manifest }]);
  const { root, tag, release } = await pullImage(parseRootImage(`oci:${layout}`), store.options);
  release();
  await removeTag(paths, tag);
  const copy = join(scratchDirectory(context), 'copy');
  cpSync(paths.root(root.id), copy, { recursive: true });
  return {
    ...store,
    id: root.id,
    put: () => cpSync(copy, paths.root(root.id), { recursive: true }),
    isThere: () => existsSync(join(paths.root(root.id), 'root.erofs')),
    start: async () => {
      const leased = await useRoot(paths, root.id);
      if (leased !== undefined) assert.equal(readKept(paths, leased.root, 'passwd'), PASSWD);
      return leased;
    },
  };
}

/** What has to be so when both have ended. */
function check(store: Store, leased: LeasedRoot | undefined, isGone: boolean, when: string): void {
  assert.equal(store.isThere(), !isGone, when);
  if (leased === undefined) {
    assert.ok(isGone, when);
    assert.deepEqual(usersOf(store.paths, store.id), []);
    return;
  }
  assert.ok(!isGone, when);
  assert.equal(readKept(store.paths, leased.root, 'passwd'), PASSWD, when);
  assert.ok(readFileSync(leased.root.path).length === leased.root.size, when);
  leased.release();
}

interface Remover {
  readonly child: ChildProcess;
  /** Removes the file system, and says whether it is gone. Rejects if it is killed meanwhile. */
  remove(): Promise<boolean>;
}

/** @param stopAt the step before which it stops itself */
function startRemover(context: TestContext, { paths, id }: Store, stopAt?: number): Remover {
  const words = [programOf('oci/remove-program'), paths.directory, id, ...(stopAt === undefined ? [] : [`${stopAt}`])];
  const child = spawn(process.execPath, words, { stdio: ['pipe', 'pipe', 'inherit'] });
  context.after(() => child.kill('SIGKILL'));
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const remove = async () => {
    child.stdin.write('\n');
    const { value } = await lines.next();
    assert.ok(value === 'true' || value === 'false', 'it was killed');
    return value === 'true';
  };
  return { child, remove };
}

/** Resolves when a process has stopped itself, or `work` has ended. @returns whether it has stopped */
async function untilStopped({ pid }: ChildProcess, work: Promise<unknown>): Promise<boolean> {
  let isOver = false;
  const ended = () => {
    isOver = true;
  };
  work.then(ended, ended);
  while (!isOver) {
    // The program's name has no blanks.
    if (readFileSync(`/proc/${pid}/stat`, 'latin1').split(' ')[2] === 'T') return true;
    await delay(5);
  }
  return false;
}

/**
 * Starts before each step of a removal by another process, which goes on step by step when the start is as far as it
 * gets. A file system that was found stays where it is at each step.
 * @param steps that it goes on before it is killed; undefined: it is not killed
 * @param end looks at what is there
 */
async function atEachStep(
  context: TestContext,
  store: Store,
  steps: number | undefined,
  end: (leased: LeasedRoot | undefined, removal: Promise<boolean>, when: string) => Promise<void>,
): Promise<void> {
  const counts = { gone: 0, kept: 0 };
  for (let step = 1, isOver = false; !isOver; step += 1) {
    const { child, remove } = startRemover(context, store, step);
    const removal = remove();
    isOver = !(await untilStopped(child, removal));
    let found: LeasedRoot | undefined;
    let isFound = false;
    const starting = store.start().then((leased) => {
      found = leased;
      isFound = true;
    });
    for (let turn = 0; turn < 500 && !isFound; turn += 1) await nextTurn();
    for (let more = 0; more !== steps && (await untilStopped(child, removal)); more += 1) {
      if (found !== undefined) assert.ok(store.isThere(), `step ${step} and ${more} more`);
      child.kill('SIGCONT');
    }
    if (steps !== undefined) await killed(child);
    await starting;
    await end(found, removal, `step ${step}`);
    counts[found === undefined ? 'gone' : 'kept'] += 1;
    await killed(child);
    if (found === undefined) store.put();
  }
  assert.ok(counts.gone > 2 && counts.kept > 3, JSON.stringify(counts));
}

/** How many files of this process are open that are at a path. */
function timesOpen(path: string): number {
  const files = readdirSync('/proc/self/fd').map((file) => valueOr(() => readlinkSync(`/proc/self/fd/${file}`), ''));
  return files.filter((file) => file === path).length;
}

async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

describe('a file system that is removed', () => {
  it('is whole or gone for one who starts at any step of the removal', async (context) => {
    const store = await withRoot(context);
    await atEachStep(context, store, undefined, async (leased, removal, when) =>
      check(store, leased, await removal, when),
    );
  });

  for (const steps of [0, 2, 4])
    it(`is whole or gone, also if the removal is killed at any step and ${steps} more`, async (context) => {
      const store = await withRoot(context);
      const { paths, id } = store;
      let marks = 0;
      await atEachStep(context, store, steps, async (leased, removal, when) => {
        removal.catch(() => {});
        if (existsSync(paths.removalMark(id))) marks += 1;
        // Nothing that was half removed comes back, and nothing that is in use goes.
        await pruneStore(paths);
        const roots = readdirSync(paths.roots).filter((name) => name !== '.leases');
        assert.deepEqual(roots, leased === undefined ? [] : [id], when);
        assert.deepEqual(readdirSync(paths.locks), [], when);
        check(store, leased, leased === undefined, when);
      });
      assert.ok(marks > 2, `${marks}`);
    });

  it('is whole or gone for one who starts when it is removed at any step of the start', async (context) => {
    const store = await withRoot(context);
    const words = [programOf('oci/remove-program'), store.paths.directory, store.id];
    const counts = { gone: 0, kept: 0 };
    for (let at = 1, isOver = false; !isOver; at += 1) {
      let step = 0;
      let answer: string | undefined;
      const end = beforeEachStep(() => {
        step += 1;
        if (step !== at) return;
        answer = spawnSync(process.execPath, words, { input: '\n', encoding: 'utf8' }).stdout;
      });
      const leased = await store.start().finally(end);
      isOver = answer === undefined;
      const isGone = isOver ? false : answer === 'true\n';
      check(store, leased, isGone, `step ${at}`);
      counts[isGone ? 'gone' : 'kept'] += 1;
      if (isGone) store.put();
    }
    assert.ok(counts.gone >= 1 && counts.kept > 3, JSON.stringify(counts));
  });

  it('is whole or gone for one who starts beside another process that removes it', async (context) => {
    const store = await withRoot(context);
    const { remove } = startRemover(context, store);
    const counts = { gone: 0, kept: 0 };
    // A start comes later than one that was first, and earlier than one that was not: so they meet on any host.
    for (let round = 0, turns = 0; round < 300; round += 1) {
      const removal = remove();
      for (let turn = 0; turn < turns; turn += 1) await nextTurn();
      const leased = await store.start();
      const isGone = await removal;
      check(store, leased, isGone, `round ${round}`);
      counts[isGone ? 'gone' : 'kept'] += 1;
      turns = isGone ? Math.floor(turns * 0.8) : Math.ceil(turns * 1.25) + 1;
      if (isGone) store.put();
    }
    assert.ok(counts.gone > 0 && counts.kept > 0, JSON.stringify(counts));
  });

  it('is waited for until that is decided, or the start is cancelled', async (context) => {
    const store = await withRoot(context);
    const { paths, id } = store;
    const mark = await lockFile(paths.removalMark(id), 'exclusive');
    await rejectsWith(useRoot(paths, id, AbortSignal.abort()), 'aborted');
    assert.deepEqual(usersOf(paths, id), []);
    const starting = store.start();
    await holdsDuring(starting, () => timesOpen(paths.removalMark(id)) === 2);
    // So long that it has tried more than once, on most hosts.
    assert.equal(await Promise.race([starting, delay(150, 'waits')]), 'waits');
    rmSync(paths.root(id), { recursive: true });
    rmSync(paths.removalMark(id));
    await mark?.close();
    assert.equal(await starting, undefined);
    assert.deepEqual(usersOf(paths, id), []);
  });
});

it('a file of users that is gone is said to be', async (context) => {
  const store = await withRoot(context);
  const leased = await store.start();
  assert.ok(leased !== undefined);
  assert.equal(readKept(store.paths, leased.root, 'group'), '');
  rmSync(join(store.paths.root(store.id), 'passwd'));
  throwsWith(() => readKept(store.paths, leased.root, 'passwd'), 'store-damaged', /passwd' cannot be read/);
});
