/** A service is cloned, upgraded and removed while libvirtd, which has its machines, is killed at its calls. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { ACCEL } from '../helpers/acceleration.js';
import { embedded } from '../helpers/connections.js';
import { KilledDaemon, unlessDaemonKilled } from '../helpers/killed-daemon.js';
import { ID } from '../helpers/killed-images.js';
import { assertMadeAfter, type Ended, isKilled, someSteps, unlessTraced } from '../helpers/killing.js';
import { scratchDirectory } from '../helpers/scratch.js';
import { bakeSnapshot, privateStore } from '../helpers/snapshots.js';

/** What libvirtd does to the files of a machine that it starts and ends. */
const CALLS = ['mkdir', 'rename', 'unlink'];

describe('a libvirtd that is killed', { skip: unlessDaemonKilled || unlessTraced() }, () => {
  const { env, remove } = privateStore();
  before(() => bakeSnapshot(['-c', embedded.uri, '--slots', 'disks=1'], { env }, ['--overlay']));
  after(remove);

  it('leaves a service whole that is cloned, upgraded or removed, and the next call ends it', async (t) => {
    const daemon = await KilledDaemon.start(t, env);
    const { images, other, libvirt } = daemon;
    const { image, service, root } = images;
    const { name, out, run } = service;
    const log = join(scratchDirectory(t), 'calls');
    const killed = new Set<string>();
    /** At first nothing is killed. */
    const atSteps = async (
      command: readonly string[],
      prepare: () => Promise<void>,
      check: (ended: Ended, text: string) => Promise<unknown>,
    ) => {
      const runAt = async (step?: { readonly call: string; readonly when: number }) => {
        await prepare();
        return daemon.killAt(t, command, { calls: CALLS, log, ...(step && { step }) });
      };
      const { ended: whole } = await runAt();
      assert.equal(whole.code, 0, whole.stderr);
      const steps = someSteps(CALLS, log);
      await check(whole, `${command[0]}, and nothing is killed`);
      for (const step of steps) {
        const text = `${command[0]}, ${step.call} ${step.when}`;
        const { ended: one, wasKilled } = await runAt(step);
        if (wasKilled) killed.add(`${command[0]}`);
        await check(one, `${text}: ${one.code} ${one.stderr}`);
      }
    };

    const clone = ['clone', name, other];
    const making = images.making(other, clone);
    await atSteps(
      clone,
      async () => {},
      (ended, text) => assertMadeAfter(making, text, ended),
    );

    let turn = 0;
    const setKey = async () => {
      turn += 1;
      images.setKey(`key ${turn}\n`);
    };
    await atSteps(['upgrade', name], setKey, async (ended, text) => {
      isKilled(ended);
      await out('upgrade', name);
      const file = (path: string) => images.file(image, path);
      assert.equal(file('/upper/etc/keys/key'), `key ${turn}\n`, text);
      assert.deepEqual([file('/upper/srv/data'), file('/upper/etc/machine-id')], ['of web\n', ID], text);
      assert.deepEqual(images.left(), [], text);
    });

    const before = images.left();
    const create = async () => {
      await service.create(
        '-c',
        libvirt.uri,
        ...ACCEL,
        '-r',
        root,
        other,
        '--',
        '/bin/sh',
        '-c',
        'exec busybox sleep 1000',
      );
      await out('start', other);
    };
    await atSteps(['delete', other], create, async (ended, text) => {
      isKilled(ended);
      const { code, stderr } = await run(['delete', other]);
      assert.ok(code === 0 || /there is no service/.test(stderr), `${text}; then ${stderr}`);
      assert.deepEqual(images.left(), before, text);
      await daemon.assertNoDomain(other, text);
    });
    assert.deepEqual([...killed], ['clone', 'upgrade', 'delete']);
  });
});
