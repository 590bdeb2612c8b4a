/** A libvirtd that is killed, or ends in order, and is started again, while services run. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it, type TestContext } from 'node:test';
import { valueOr } from '../../src/util/errors.js';
import { embedded } from '../helpers/connections.js';
import { leftAtLast, processesWith, uniqueName } from '../helpers/leftovers.js';
import { holdsDuring } from '../helpers/meanwhile.js';
import { PrivateLibvirt, unlessPrivateLibvirt } from '../helpers/private-libvirt.js';
import { runSandbox, SERVICE_PROGRAM, startSandbox } from '../helpers/run.js';
import { scratchDirectory, WITH_ATTRIBUTES } from '../helpers/scratch.js';
import { unlessHostSystemd } from '../helpers/systemd-sandbox.js';
import { STEADY, unitService } from '../helpers/unit-services.js';

/** A service that runs, beside a libvirtd of its own. */
async function running(t: TestContext, uri: string) {
  const lab = await PrivateLibvirt.start();
  const name = uniqueName();
  const run = (...words: readonly string[]) => runSandbox(words, { program: SERVICE_PROGRAM, through: lab.through });
  t.after(async () => {
    await run('delete', name).finally(() => lab.end());
  });
  const states = scratchDirectory(t, WITH_ATTRIBUTES);
  const ok = async (...words: readonly string[]) => {
    const { code, out, stderr } = await run(...words);
    assert.equal(code, 0, `${words.join(' ')}: ${stderr}`);
    return out;
  };
  // Ready is what has written.
  const script = 'echo started >> /srv/log; touch /run/up; exec sleep 1000';
  const own = ['-c', uri, '--path', states, '--health', 'test -e /run/up'];
  await ok('create', ...own, name, '--', 'sh', '-c', script);
  await ok('start', name);
  return { lab, name, run, ok };
}

/** The processes of its domain: a QEMU, or a controller and the init of its container. */
function processesOf(name: string): number[] {
  const lines = processesWith(name).filter((line) => /qemu-system|libvirt_lxc/.test(line));
  const pids = lines.map((line) => Number.parseInt(line, 10));
  // One may end meanwhile.
  const children = (pid: number) => valueOr(() => readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8'), '');
  return pids.flatMap((pid) => [pid, ...children(pid).split(' ').filter(Boolean).map(Number)]);
}

describe('a service', { skip: embedded.skip || unlessPrivateLibvirt() }, () => {
  for (const uri of ['qemu:///system', 'lxc:///']) {
    it(`outlives its libvirtd, and is stopped and started with the next one: ${uri}`, async (t) => {
      const { lab, name, ok } = await running(t, uri);
      const [pid] = processesOf(name);
      // Killed, and then as systemd ends it before it starts it again.
      for (const end of [() => lab.killDaemon(), () => lab.endDaemon()]) {
        await end();
        assert.equal(await ok('execute', name, '--', 'cat', '/srv/log'), 'started\n');
        await lab.restartDaemon();
        assert.equal(await ok('execute', name, '--', 'cat', '/srv/log'), 'started\n');
        assert.match(await ok('status', name), new RegExp(`^${name}: running`));
        assert.match(await lab.run('virsh', '-q', '-c', uri, 'list', '--name'), new RegExp(`^${name}$`, 'm'));
      }
      assert.equal(processesOf(name)[0], pid);
      await ok('restart', name);
      assert.equal(await ok('execute', name, '--', 'cat', '/srv/log'), 'started\nstarted\n');
      await ok('stop', name);
      assert.deepEqual(processesWith(name), []);
    });

    it(`leaves nothing when its holder is killed while libvirt starts it: ${uri}`, async (t) => {
      const { lab, name, ok } = await running(t, uri);
      await ok('stop', name);
      const starting = startSandbox(['start', name], { program: SERVICE_PROGRAM, through: lab.through });
      await holdsDuring(starting.result, () => processesOf(name).length > 0);
      // libvirt waits for it, and does not answer.
      for (const one of processesOf(name)) process.kill(one, 'SIGSTOP');
      // As its own namespace numbers it.
      const [pid = ''] = readFileSync(`/run/libvirt-sandbox-services/${name}/owner`, 'utf8').split(' ');
      await lab.run('kill', '-9', pid);
      await starting.result;
      assert.deepEqual(await leftAtLast(() => processesWith(name)), []);
    });

    it(`leaves nothing when libvirtd is killed while it starts it: ${uri}`, async (t) => {
      const { lab, name, ok } = await running(t, uri);
      await ok('stop', name);
      const starting = startSandbox(['start', name], { program: SERVICE_PROGRAM, through: lab.through });
      await holdsDuring(starting.result, () => processesOf(name).length > 0);
      for (const one of processesOf(name)) process.kill(one, 'SIGSTOP');
      await lab.killDaemon();
      const { code, stderr } = await starting.result;
      assert.equal(code, 125, stderr);
      assert.deepEqual(await leftAtLast(() => processesOf(name).map(String)), []);
      // What libvirt has started beside a QEMU, its next daemon ends.
      await lab.restartDaemon();
      assert.deepEqual(await leftAtLast(() => processesWith(name)), []);
    });

    it(`ends with its holder, though nothing inside or in libvirtd ends it: ${uri}`, async (t) => {
      const { lab, name, ok } = await running(t, uri);
      const [{ pid }] = JSON.parse(await ok('status', '--json', name)) as [{ pid: number }];
      assert.ok(pid > 1);
      for (const one of processesOf(name)) process.kill(one, 'SIGSTOP');
      await lab.run('kill', '-9', String(pid));
      assert.deepEqual(await leftAtLast(() => processesWith(name)), []);
      const list = () => lab.run('virsh', '-q', '-c', uri, 'list', '--all', '--name');
      while ((await list()).includes(name));
      await ok('start', name);
      assert.equal(await ok('execute', name, '--', 'cat', '/srv/log'), 'started\nstarted\n');
    });
  }

  it('of units outlives its libvirtd, as its units do', { skip: unlessHostSystemd }, async (t) => {
    const lab = await PrivateLibvirt.start();
    const end = () => lab.end();
    const way = { ...embedded, uri: 'qemu:///system', options: { through: lab.through } };
    const service = await unitService(t, way, { 'steady.service': STEADY }, ['steady.service']).catch(async (error) => {
      await end();
      throw error;
    });
    // Behind what removes the service.
    t.after(end);
    await service.ok(['start']);
    const pid = () => service.inside('systemctl show --value -p MainPID steady');
    const [qemu, steady] = [processesOf(service.name)[0], await pid()];
    // Killed, and then as systemd ends it before it starts it again.
    for (const endDaemon of [() => lab.killDaemon(), () => lab.endDaemon()]) {
      await endDaemon();
      assert.equal(await pid(), steady);
      await lab.restartDaemon();
      const { state, restarts, units } = await service.status();
      assert.deepEqual([state, restarts, units?.map(({ active }) => active)], ['running', 0, ['active']]);
    }
    assert.deepEqual([processesOf(service.name)[0], await pid()], [qemu, steady]);
    await service.ok(['stop']);
    assert.deepEqual(processesWith(service.name), []);
    const { lastEnd } = await service.status();
    assert.equal(lastEnd?.why, 'stopped');
  });
});
