/** Services with a bound in containers, whose processes are killed. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { BoundedState, boundedService, STARTS } from '../helpers/bounded.js';
import { childrenOf } from '../helpers/children.js';
import { lxc } from '../helpers/connections.js';
import { imageFile, unlessProgram } from '../helpers/images.js';
import { hasKilled } from '../helpers/killing/kill-at.js';
import {
  assertKilledAt,
  isKilled,
  killedAt,
  type Step,
  someSteps,
  tracedFor,
  unlessTraced,
} from '../helpers/killing.js';
import { processesWith, uniqueName } from '../helpers/leftovers.js';
import { service as program, removeServices } from '../helpers/making-services.js';
import { scratchDirectory, WITH_ATTRIBUTES } from '../helpers/scratch.js';
import { SERVICES } from '../helpers/services.js';

const starts = (count: number) => `${count}\n`;

describe('a service with a bound', { skip: lxc.skip }, () => {
  it('starts with its state whatever of it was killed, and leaves no device and no mount', async (t) => {
    const { service, state } = await boundedService(t);
    await service.ok(['start']);
    for (const [index, kill] of (
      [['holder'], ['libvirt_lxc'], ['holder', 'supervisor'], ['holder', 'supervisor', 'libvirt_lxc']] as const
    ).entries()) {
      const { pid: holder = 0 } = await service.status();
      const pids = { holder, supervisor: childrenOf(holder, 'supervisor')[0] ?? 0, libvirt_lxc: lxcOf(service.name) };
      assert.ok(
        Object.values(pids).every((pid) => pid > 0),
        JSON.stringify(pids),
      );
      killTogether(kill.map((who) => pids[who]));
      // Of a controller the holder hears a moment later, and stops the service then.
      await service.until(({ state: now }) => now === 'failed');
      await service.ok(['start']);
      const text = kill.join();
      assert.equal(await service.inside(STARTS), starts(index + 2), text);
      assert.deepEqual([state.loops().length, state.mounts()], [1, 1], text);
    }
    await service.ok(['stop']);
    await state.assertUnused();
  });

  for (const [command, ...kill] of [
    ['delete', 'holder'],
    ['delete', 'supervisor', 'holder'],
    ['clone', 'supervisor', 'holder'],
  ] as const)
    it(`leaves no container and no mount to ${command} when its ${kill.join(' and ')} was killed`, async (t) => {
      const { service, state } = await boundedService(t);
      await service.ok(['start']);
      const { pid: holder = 0 } = await service.status();
      const pids = { holder, supervisor: childrenOf(holder, 'supervisor')[0] ?? 0 };
      assert.deepEqual([containersOf(service.name).length, pids.holder > 0, pids.supervisor > 0], [1, true, true]);
      killTogether(kill.map((who) => pids[who]));
      await service.until(({ state: now }) => now === 'failed');
      // Without it nobody reads there what the state is of.
      if (kill.length === 2) state.remount('umount');
      else assert.equal(state.isMounted(), true);
      if (command === 'clone') {
        const name = `${service.name}-2`;
        t.after(() => removeServices([name], lxc.options));
        const { code, stderr } = await program(['clone', service.name, name], lxc.options);
        assert.equal(code, 0, stderr);
        // Before another sandbox ends, which removes what is left.
        assert.deepEqual(containersOf(service.name), []);
        await state.assertUnused();
      } else {
        await service.ok(['delete']);
        assert.deepEqual([containersOf(service.name), state.isMounted(), readdirSync(state.above)], [[], false, []]);
      }
    });
});

/** None of them sees the others go. */
function killTogether(pids: readonly number[]): void {
  for (const signal of ['SIGSTOP', 'SIGKILL'] as const) for (const pid of pids) process.kill(pid, signal);
}

/** The processes that libvirt has for a container. */
function containersOf(name: string): string[] {
  return processesWith(name).filter((line) => line.includes('/libvirt_lxc '));
}

/** What the program, mke2fs, mount(8) since util-linux 2.39, and umount(8) do. */
const CALLS = ['mkdir', 'flock', 'ftruncate', 'fsconfig', 'move_mount', 'umount2', 'rename'];

describe('a service with a bound that is made', { skip: lxc.skip || unlessTraced() }, () => {
  it('is there as a whole or not at all, whatever is killed', async (t) => {
    const above = scratchDirectory(t, WITH_ATTRIBUTES);
    const log = join(scratchDirectory(t), 'calls');
    const name = uniqueName();
    t.after(() => removeServices([name], lxc.options));
    const state = new BoundedState(above, name);
    const create = (words: readonly string[] = []) =>
      program(['create', '-c', lxc.uri, '-p', above, '-i', '150', name, '--', 'sleep', '1000'], {
        ...lxc.options,
        through: [...(lxc.options.through ?? []), ...words],
      });
    const killed = async (step: Step) => {
      const ended = await create(killedAt(step, { log }));
      const text = `${step.call} ${step.when}: ${ended.signal ?? ended.code} ${ended.stderr}`;
      isKilled(ended);
      if (existsSync(join(SERVICES, name))) assert.ok(existsSync(state.file), text);
      const gone = await program(['delete', name], lxc.options);
      if (gone.code !== 0) {
        assert.match(gone.stderr, /there is no service/, text);
        assert.equal((await create()).code, 0, text);
        assert.equal((await program(['delete', name], lxc.options)).code, 0, text);
      }
      assert.equal(state.isMounted(), false, text);
      assert.deepEqual(readdirSync(above), [], text);
      return hasKilled(log);
    };
    assert.equal((await create(tracedFor(CALLS, { log }))).code, 0);
    const steps = someSteps(CALLS, log);
    assert.equal((await program(['delete', name], lxc.options)).code, 0);
    const reached = new Set<string>();
    for (const step of steps) if (await killed(step)) reached.add(step.call);
    assert.deepEqual([...reached], CALLS);
  });
});

describe('a clone with a bound', { skip: lxc.skip || unlessTraced() }, () => {
  it('is gone after the next call when it is killed, and its source is whole', async (t) => {
    const { service, state } = await boundedService(t);
    const name = `${service.name}-2`;
    const clone = new BoundedState(state.above, name);
    t.after(() => removeServices([name], lxc.options));
    await service.ok(['start']);
    await service.ok(['stop']);
    const log = join(scratchDirectory(t), 'calls');
    const make = (words: readonly string[]) =>
      program(['clone', service.name, name], {
        ...lxc.options,
        through: [...(lxc.options.through ?? []), ...words],
      });
    const calls = ['move_mount', 'umount2', 'rename'];
    assert.equal((await make(tracedFor(calls, { log }))).code, 0);
    const steps = someSteps(calls, log);
    for (const step of steps) {
      await removeServices([name], lxc.options);
      const text = `${step.call} ${step.when}`;
      isKilled(await make(killedAt(step, { log })));
      if (!existsSync(join(SERVICES, name))) {
        const next = await program(['clone', service.name, name], lxc.options);
        assert.equal(next.code, 0, `${text}: ${next.stderr}`);
        await state.assertUnused();
        await clone.assertUnused();
      }
    }
    await removeServices([name], lxc.options);
    assert.deepEqual(readdirSync(state.above), [service.name]);
    await service.ok(['start']);
    assert.equal(await service.inside(STARTS), starts(2));
  });
});

/** A bounded state with a copy of a key of its root, which is another one by now. Nothing was started. */
async function copied(t: TestContext) {
  const above = scratchDirectory(t, WITH_ATTRIBUTES);
  const root = scratchDirectory(t, WITH_ATTRIBUTES);
  const log = join(scratchDirectory(t), 'calls');
  const state = new BoundedState(above, uniqueName());
  t.after(() => removeServices([state.name], lxc.options));
  const setKey = (text: string) => writeFileSync(join(root, 'etc/keys/key'), text, { mode: 0o600 });
  const run = (command: string, words: readonly string[] = []) =>
    program([command, state.name], { ...lxc.options, through: [...(lxc.options.through ?? []), ...words] });
  const create = async () => {
    setKey('key 0');
    const options = ['-c', lxc.uri, '-p', above, '-i', '150', '-r', root, '--copy-path', '/etc/keys'];
    const { code, stderr } = await program(['create', ...options, state.name, '--', 'true'], lxc.options);
    assert.equal(code, 0, stderr);
  };
  mkdirSync(join(root, 'etc/keys'), { recursive: true, mode: 0o700 });
  await create();
  return { state, log, setKey, run, create };
}

describe('a bounded state', { skip: lxc.skip || unlessTraced() || unlessProgram('debugfs', 'e2fsck') }, () => {
  it('is upgraded by the next call when an upgrade is killed, and is mounted no more', async (t) => {
    const { state, log, setKey, run } = await copied(t);
    const calls = ['move_mount', 'rename', 'fsync', 'umount2'];
    const assertUpgraded = async (key: string, text: string) => {
      await state.assertUnused();
      execFileSync('e2fsck', ['-fn', state.file], { stdio: 'pipe' });
      assert.equal(imageFile(state.file, '/mounts/%2F/upper/etc/keys/key'), key, text);
      const names = execFileSync('debugfs', ['-R', 'ls -p /', state.file], { encoding: 'utf8', stdio: 'pipe' });
      assert.doesNotMatch(names, /\/upgrade\//, text);
      assert.deepEqual(readdirSync(state.directory).sort(), ['layers', 'layers.ext4', 'overlay.json'], text);
    };
    setKey('key');
    const whole = await run('upgrade', tracedFor(calls, { log }));
    assert.equal(whole.code, 0, whole.stderr);
    await assertUpgraded('key', 'nothing');
    const killed = new Set<string>();
    for (const [index, step] of someSteps(calls, log).entries()) {
      setKey(`key ${index}`);
      const ended = await run('upgrade', killedAt(step, { log }));
      const text = `${step.call} ${step.when}: ${ended.stderr}`;
      isKilled(ended);
      if (hasKilled(log)) killed.add(step.call);
      const { code, stderr } = await run('upgrade');
      assert.equal(code, 0, `${text}: ${stderr}`);
      await assertUpgraded(`key ${index}`, text);
    }
    assert.deepEqual([...killed], calls);
  });

  it('is removed by the next call when a removal is killed, also one that an upgrade has left mounted', async (t) => {
    const { state, log, setKey, run, create } = await copied(t);
    const calls = ['umount2', 'rename', 'unlink', 'rmdir'];
    const leaveMounted = async () => {
      setKey('key');
      assert.equal((await run('upgrade', killedAt({ call: 'rename', when: 1 }))).signal, 'SIGKILL');
      assert.equal(state.isMounted(), true);
    };
    await leaveMounted();
    assert.equal((await run('delete', tracedFor(calls, { log }))).code, 0);
    const killed = new Set<string>();
    for (const step of someSteps(calls, log)) {
      await create();
      await leaveMounted();
      const ended = await run('delete', killedAt(step, { log }));
      const text = `${step.call} ${step.when}: ${ended.stderr}`;
      isKilled(ended);
      if (hasKilled(log)) killed.add(step.call);
      const { code, stderr } = await run('delete');
      assert.ok(code === 0 || /there is no service/.test(stderr), `${text}; then ${stderr}`);
      assert.equal(state.isMounted(), false, text);
      assert.deepEqual([readdirSync(state.above), state.loops()], [[], []], text);
    }
    assertKilledAt(killed, calls);
  });
});

/** The process that libvirt has for a container, as its words say. */
function lxcOf(name: string): number {
  const found = readdirSync('/proc').find((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      return words[0]?.endsWith('libvirt_lxc') === true && words.includes(name);
    } catch {
      return false;
    }
  });
  return Number(found ?? 0);
}
