/** Services of an ordinary user: in machines, with their states in disk images, all below the user's home. */
import assert from 'node:assert/strict';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import type { Way } from '../helpers/connections.js';
import { unlessProgram } from '../helpers/images.js';
import { assertMadeAfter, isKilled, killedAt, someSteps, tracedFor, unlessTraced } from '../helpers/killing.js';
import { assertNothingLeft, entriesIn, processesWith, uniqueName } from '../helpers/leftovers.js';
import { holdsDuring } from '../helpers/meanwhile.js';
import { OrdinaryUser, unlessOrdinaryUser } from '../helpers/ordinary-user.js';
import { type RunOptions, runSandbox, startSandbox } from '../helpers/run.js';
import { createdService, TestService } from '../helpers/services.js';
import { unlessHostSystemd } from '../helpers/systemd-sandbox.js';

const skip = unlessOrdinaryUser() || unlessProgram('qemu-img', 'mke2fs');
const COMMAND = ['--', 'sh', '-c', 'id -u; exec sleep 1000'];

describe('services of an ordinary user', { skip }, () => {
  let user: OrdinaryUser;

  before(async () => {
    user = await OrdinaryUser.create();
  });
  after(() => user.end());

  const options = () => ({ ...user.options, program: `${user.options.program}-service` });
  const wayOf = (uri: string): Way => ({ uri, skip: false, where: user.where, options: options() });
  const below = (path: string) => join(user.home, path);

  /** As the user, behind these words. */
  const through = (words: readonly string[]): RunOptions => ({
    ...options(),
    through: [...(options().through ?? []), ...words],
  });
  /** What is there of a service. */
  const entriesOf = (name: string) => {
    const places = ['.config/libvirt-sandbox/services', '.local/share/libvirt-sandbox/images'];
    return [...places, '.local/state/libvirt-sandbox/services'].flatMap((path) =>
      entriesIn(below(path)).filter((entry) => entry.includes(name) && entry !== `.${name}.lock`),
    );
  };

  /** Clones are killed at last, and the user's libvirtd is. Each leaves a clone that is whole, or what the next one removes. */
  async function cloneKilled(t: TestContext, name: string, other: string): Promise<void> {
    const isWhole = async () => (await runSandbox(['show', other], options())).code === 0;
    const running = startSandbox(['clone', name, other], options());
    const image = () =>
      entriesIn(below('.local/share/libvirt-sandbox/images')).find((one) => /^\.[0-9a-f]{32}/.test(one));
    await holdsDuring(running.result, () => processesWith(image() ?? '-').some((line) => line.includes('qemu-system')));
    process.kill(Number(readFileSync(below('run/libvirt/libvirtd.pid'), 'utf8')), 'SIGKILL');
    const ended = await running.result;
    t.diagnostic(`libvirtd: ${ended.code} ${ended.stderr}`);
    assert.equal(isKilled(ended), !(await isWhole()));
    if (await isWhole()) assert.equal((await runSandbox(['delete', other], options())).code, 0);
    assert.deepEqual(entriesOf(other), []);
    if (unlessTraced()) return;
    const log = below('calls');
    const clone = (words: readonly string[]) => runSandbox(['clone', name, other], through(words));
    assert.equal((await clone(tracedFor(['rename'], { isAlone: true, log }))).code, 0);
    for (const step of someSteps(['rename'], log).filter(({ call }) => call === 'rename')) {
      if (await isWhole()) assert.equal((await runSandbox(['delete', other], options())).code, 0);
      const killed = await clone(killedAt(step, { isAlone: true }));
      assert.equal(killed.signal, 'SIGKILL', `${step.call} ${step.when}: ${killed.stderr}`);
    }
    // The image has its name, and the service has not.
    assert.equal(await isWhole(), false);
  }

  /** A second service of that name is as the first. */
  function removedAfter(t: TestContext, name: string, way: Way): TestService {
    t.after(() => runSandbox(['delete', name], way.options));
    return new TestService(name, way);
  }

  for (const uri of ['qemu:///embed', 'qemu:///session'])
    it(`live over ${uri}, are cloned, upgraded and removed`, async (t) => {
      const way = wayOf(uri);
      const service = await createdService(t, way, ['--restart', 'on-failure'], COMMAND);
      const { name } = service;
      const directory = below(`.config/libvirt-sandbox/services/${name}`);
      const image = below(`.local/share/libvirt-sandbox/images/${name}.qcow2`);
      assert.deepEqual(
        [statSync(directory).mode & 0o777, statSync(image).mode & 0o777, statSync(image).uid],
        [0o700, 0o600, user.uid],
      );
      await service.run(['start']);
      assert.equal((await service.status()).state, 'running');
      await service.untilLog(`${user.uid}\n`);
      assert.equal(await service.inside(`id -u; test -w /srv || echo no; echo kept >/tmp/kept`), `${user.uid}\nno\n`);
      assert.equal(await service.inside('echo kept >/srv/kept; sync; id -u', '--user', '0'), '0\n');
      await service.ok(['stop']);
      assert.equal((await service.run(['upgrade'])).code, 0);
      const clone = removedAfter(t, `${name}-2`, way);
      if (uri === 'qemu:///session') await cloneKilled(t, name, clone.name);
      const cloned = await runSandbox(['clone', name, clone.name], way.options);
      assert.equal(cloned.code, 0, cloned.stderr);
      await clone.run(['start']);
      assert.equal(await clone.inside('cat /srv/kept; hostname'), `kept\n${clone.name}\n`);
      for (const [one, call] of [
        [clone, 'rename'],
        [service, 'unlink'],
      ] as const) {
        if (!unlessTraced())
          assert.equal((await one.run(['delete'], [], through(killedAt({ call, when: 1 })))).signal, 'SIGKILL');
        await one.ok(['delete']);
        await assertNothingLeft(one.name, user.where);
      }
      assert.deepEqual(entriesOf(name), []);
    });

  it('are there as a whole or not at all when create is killed', { skip: unlessTraced() }, async (t) => {
    const { name } = removedAfter(t, uniqueName(), wayOf('qemu:///session'));
    const log = below('calls');
    const making = {
      run: (words: readonly string[]) => runSandbox(['create', name, ...COMMAND], through(words)),
      isThere: async () => (await runSandbox(['show', name], options())).code === 0,
      remove: () => runSandbox(['delete', name], options()),
      left: () => entriesOf(name),
    };
    await assertMadeAfter(making, 'nothing', await making.run(tracedFor(['rename'], { log })));
    for (const step of someSteps(['rename'], log))
      assert.ok(await assertMadeAfter(making, `${step.call} ${step.when}`, await making.run(killedAt(step))));
  });

  it('run units as root inside, and the user is asked for nothing', { skip: unlessHostSystemd }, async (t) => {
    const service = await createdService(t, wayOf('qemu:///embed'), ['-u', 'systemd-journald.service']);
    await service.run(['start']);
    assert.deepEqual(
      (await service.status()).units?.map(({ unit, active }) => [unit, active]),
      [['systemd-journald.service', 'active']],
    );
    assert.equal(await service.inside('id -u; cat /proc/1/comm'), '0\nsystemd\n');
    await service.ok(['stop']);
  });

  it('are no containers, and not over the system', async (t) => {
    for (const uri of ['lxc:///', 'qemu:///system']) {
      const name = uniqueName();
      const service = removedAfter(t, name, wayOf(uri));
      await service.fails(['-c', uri, 'create'], /only root can have services over .*qemu:\/\/\/session/, COMMAND);
      assert.ok(!entriesIn(below('.config/libvirt-sandbox/services')).includes(name));
      for (const words of [['list'], ['status'], ['start', name], ['stop', name], ['delete', name]]) {
        const { code, out, stderr } = await runSandbox([...words, '-c', uri], options());
        assert.deepEqual([code, out], [125, ''], words.join(' '));
        assert.match(stderr, /only root can have services over .*qemu:\/\/\/session/);
      }
    }
  });

  it('are refused over the system, whoever has written that into their files', async (t) => {
    const service = await createdService(t, wayOf('qemu:///embed'), [], COMMAND);
    const file = below(`.config/libvirt-sandbox/services/${service.name}/config/sandbox.cfg`);
    const before = readFileSync(file, 'utf8');
    const refusal = (uri: string) =>
      new RegExp(
        `^virt-sandbox-service: service: only root can have services over ${uri}.*qemu:///session or [^\\n]+\\n`,
      );
    const refused = async (words: readonly string[], pattern: RegExp, env: NodeJS.ProcessEnv = {}) => {
      const { code, stderr } = await service.run(words, [], { env: { ...options().env, ...env } });
      assert.equal(code, 125, stderr);
      assert.match(stderr, pattern);
      assert.match((await service.run(['status'])).out, /: stopped, never started\n$/);
    };
    for (const uri of ['lxc:///', 'qemu:///system']) {
      const EDITOR = `sed -i s,^connect=.*,connect=${uri},`;
      await refused(['edit'], refusal(uri), { EDITOR, VISUAL: undefined, TMPDIR: user.home });
      assert.equal(readFileSync(file, 'utf8'), before);
      writeFileSync(file, before.replace(/^connect=.*$/m, `connect=${uri}`));
      for (const command of ['start', 'run']) await refused([command], refusal(uri));
      const clone = await runSandbox(['clone', service.name, `${service.name}-2`], options());
      assert.equal(clone.code, 125, clone.stderr);
      assert.match(clone.stderr, refusal(uri));
      // Without one in the file, that of the settings of libvirt, or of the command, counts.
      writeFileSync(file, before.replace(/^connect=.*\n/m, ''));
      for (const command of ['start', 'run']) {
        await refused([command], refusal(uri), { LIBVIRT_DEFAULT_URI: uri });
        await refused([command, '-c', uri], refusal(uri));
      }
      writeFileSync(file, before);
    }
  });
});
