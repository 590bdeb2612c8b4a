/** A service of an ordinary user, with its state in an image, is upgraded and removed by programs that are killed. */
import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { unlessProgram } from '../helpers/images.js';
import { fileOfState } from '../helpers/killed-images.js';
import {
  assertKilledAt,
  isKilled,
  killedAt,
  sandboxesIn,
  someSteps,
  tracedFor,
  unlessTraced,
} from '../helpers/killing.js';
import { assertNothingLeft, entriesIn, uniqueName } from '../helpers/leftovers.js';
import { OrdinaryUser, unlessOrdinaryUser } from '../helpers/ordinary-user.js';
import { makeRoot, unlessBusybox } from '../helpers/roots.js';
import { type RunResult, runSandbox } from '../helpers/run.js';
import { scratchDirectory } from '../helpers/scratch.js';
import { bakeSnapshot } from '../helpers/snapshots.js';

const skip =
  unlessOrdinaryUser() || unlessTraced() || unlessBusybox || unlessProgram('qemu-img', 'mke2fs', 'e2fsck', 'debugfs');

/** Below the home. */
const SERVICES = '.config/libvirt-sandbox/services';
const IMAGES = '.local/share/libvirt-sandbox/images';
const LIVES = '.local/state/libvirt-sandbox/services';

/** What the program does, and then QEMU, which writes to the image. */
const UPGRADING = [
  [['rename'], true],
  [['pwrite64'], false],
] as const;
/** Files below /etc: each upgrade drops the copy of one. */
const MOST = 40;

const DELETING = ['rename', 'unlink', 'rmdir'];

describe('a service of an ordinary user', { skip }, () => {
  let user: OrdinaryUser;
  const name = uniqueName();

  before(async () => {
    user = await OrdinaryUser.create({ emptyStore: true });
    await bakeSnapshot(['-c', 'qemu:///embed', '--slots', 'disks=1'], user.options, ['--overlay']);
  });
  after(() => user.end());

  const run = (args: readonly string[], words: readonly string[] = []): Promise<RunResult> =>
    runSandbox(args, {
      ...user.options,
      program: `${user.options.program}-service`,
      through: [...(user.options.through ?? []), ...words],
    });
  const out = async (...args: readonly string[]) => {
    const { code, out: said, stderr } = await run(args);
    assert.equal(code, 0, stderr);
    return said;
  };
  const below = (path: string) => join(user.home, path);
  const left = () =>
    [SERVICES, IMAGES, LIVES].flatMap((path) => entriesIn(below(path)).filter((entry) => entry !== `.${name}.lock`));
  const create = (root: string) =>
    out('create', '-c', 'qemu:///embed', '-i', '200', '-r', root, name, '--', 'sh', '-c', 'exec busybox sleep 1000');

  it('is upgraded by the next call, whatever is killed, and loses nothing', async (t) => {
    const root = makeRoot(t, 'etc/opened', ...['dev', 'proc', 'sys', 'run', 'tmp', 'root', 'srv']);
    writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0::/root:/bin/sh\n');
    const [log, scratch] = [below('calls'), scratchDirectory(t)];
    const image = below(`${IMAGES}/${name}.qcow2`);
    for (let number = 0; number < MOST; number += 1) writeFileSync(join(root, `etc/opened/${number}`), 'old\n');
    await create(root);
    t.after(() => run(['delete', name]));
    await out('start', name);
    // Copies that it never changes.
    const opens = 'for file in /etc/opened/*; do : >>$file; done; echo of web >/srv/data; busybox sync';
    await out('execute', '--user', '0', name, '--', 'sh', '-c', opens);
    await out('stop', name);
    const [before, entries] = [left(), entriesIn(below(`${SERVICES}/${name}`)).sort()];
    let turn = 0;
    const upgrade = async (words: readonly string[]) => {
      writeFileSync(join(root, `etc/opened/${turn}`), 'new\n');
      turn += 1;
      rmSync(log, { force: true });
      return run(['upgrade', name], words);
    };
    const assertUpgraded = async (text: string) => {
      const file = (path: string) => fileOfState(image, path, scratch);
      assert.deepEqual([file(`/upper/etc/opened/${turn - 1}`), file('/upper/srv/data')], ['', 'of web\n'], text);
      for (const sandbox of sandboxesIn(log)) await assertNothingLeft(sandbox, user.where);
      assert.deepEqual([left(), entriesIn(below(`${SERVICES}/${name}`)).sort()], [before, entries], text);
    };
    for (const [calls, isAlone] of UPGRADING) {
      const whole = await upgrade(tracedFor(calls, { isAlone, log }));
      assert.equal(whole.code, 0, whole.stderr);
      await assertUpgraded('nothing is killed');
      const killed = new Set<string>();
      for (const step of someSteps(calls, log)) {
        const ended = await upgrade(killedAt(step, { isAlone, log }));
        if (isKilled(ended)) killed.add(step.call);
        await out('upgrade', name);
        await assertUpgraded(`${step.call} ${step.when}: ${ended.stderr}`);
      }
      assertKilledAt(killed, calls);
    }
    assert.ok(turn < MOST);
    await out('delete', name);
    assert.deepEqual(left(), []);
  });

  it('is removed by the next call, whatever is killed', async (t) => {
    const root = makeRoot(t);
    t.after(() => run(['delete', name]));
    const log = below('calls');
    await create(root);
    assert.equal((await run(['delete', name], tracedFor(DELETING, { log }))).code, 0);
    for (const step of someSteps(DELETING, log)) {
      const text = `${step.call} ${step.when}`;
      await create(root);
      assert.equal((await run(['delete', name], killedAt(step))).signal, 'SIGKILL', text);
      const next = await run(['delete', name]);
      assert.ok(next.code === 0 || /there is no service/.test(next.stderr), `${text}: ${next.stderr}`);
      assert.deepEqual(left(), [], text);
    }
  });
});
