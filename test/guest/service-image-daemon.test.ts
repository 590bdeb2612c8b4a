/** A state in an image is cloned, imported and upgraded while libvirtd, or the program, or both are killed. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { embedded } from '../helpers/connections.js';
import { KilledDaemon, type Killing, unlessDaemonKilled } from '../helpers/killed-daemon.js';
import { ID } from '../helpers/killed-images.js';
import { assertMadeAfter, isKilled } from '../helpers/killing.js';
import { bakeSnapshot, privateStore } from '../helpers/snapshots.js';

describe('a state in an image, over a libvirtd', { skip: unlessDaemonKilled }, () => {
  const { env, remove } = privateStore();
  before(() => bakeSnapshot(['-c', embedded.uri, '--slots', 'disks=1'], { env }, ['--overlay']));
  after(remove);

  it('is cloned, imported and upgraded by the next call, whatever was killed, and loses nothing', async (t) => {
    const lab = await KilledDaemon.start(t, env);
    const { images, other } = lab;
    const { image, service } = images;
    const { name, states, out } = service;
    const archive = join(states, 'web.tar');
    await out('export', '-o', archive, name);
    const clone = ['clone', name, other];
    const imported = ['import', '--trust', '-p', states, archive, other];
    const kills: (readonly [command: readonly string[], killing: Killing])[] = [
      [clone, { libvirtd: true, starts: true }],
      [clone, { libvirtd: true }],
      [imported, { libvirtd: true }],
      [imported, { program: true }],
    ];
    // A machine that has started goes on without libvirtd.
    const isLost = /: libvirt did not start domain [^;]*: the daemon has closed the connection; see that it answers/;
    for (const [command, killing] of kills) {
      const text = `${command[0]}: ${JSON.stringify(killing)}`;
      const making = images.making(other, command);
      const ended = await lab.kill(t, command, killing);
      if (killing.starts) assert.match(ended.stderr, isLost, text);
      await assertMadeAfter(making, text, ended);
    }
    rmSync(archive);
    const upgrade = ['upgrade', name];
    for (const [index, killing] of [{ libvirtd: true }, { libvirtd: true, program: true }].entries()) {
      images.setKey(`key ${index}\n`);
      const ended = await lab.kill(t, upgrade, killing);
      isKilled(ended);
      await out(...upgrade);
      const file = (path: string) => images.file(image, path);
      assert.equal(file('/upper/etc/keys/key'), `key ${index}\n`, ended.stderr);
      assert.deepEqual([file('/upper/srv/data'), file('/upper/etc/machine-id')], ['of web\n', ID]);
      assert.deepEqual(images.left(), []);
    }
  });
});
