/** A libvirtd that is killed, and started again, while services run. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { embedded } from '../helpers/connections.js';
import { processesWith, uniqueName } from '../helpers/leftovers.js';
import { PrivateLibvirt, unlessPrivateLibvirt } from '../helpers/private-libvirt.js';
import { runSandbox, SERVICE_PROGRAM } from '../helpers/run.js';
import { scratchDirectory, WITH_ATTRIBUTES } from '../helpers/scratch.js';

describe('a service', { skip: embedded.skip || unlessPrivateLibvirt() }, () => {
  for (const uri of ['qemu:///system', 'lxc:///']) {
    it(`outlives its libvirtd, and is stopped and started with the next one: ${uri}`, async (t) => {
      const lab = await PrivateLibvirt.start();
      const name = uniqueName();
      const run = (...words: readonly string[]) =>
        runSandbox(words, { program: SERVICE_PROGRAM, through: lab.through });
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
      await lab.killDaemon();
      assert.equal(await ok('execute', name, '--', 'cat', '/srv/log'), 'started\n');
      await lab.restartDaemon();
      assert.equal(await ok('execute', name, '--', 'cat', '/srv/log'), 'started\n');
      assert.match(await ok('status', name), new RegExp(`^${name}: running`));
      await ok('restart', name);
      assert.equal(await ok('execute', name, '--', 'cat', '/srv/log'), 'started\nstarted\n');
      await ok('stop', name);
      assert.deepEqual(processesWith(name), []);
    });
  }
});
