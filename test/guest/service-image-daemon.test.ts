/** A state in an image is cloned, imported and upgraded while libvirtd, or the program, or both are killed. */
import assert from 'node:assert/strict';
import { readlinkSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { isImageInUse } from '../../src/sandbox/devices/overlay-image.js';
import { valueOr } from '../../src/util/errors.js';
import { embedded } from '../helpers/connections.js';
import { unlessProgram } from '../helpers/images.js';
import { childrenOf, ID, KilledImages } from '../helpers/killed-images.js';
import { assertMadeAfter, type Ended, isKilled } from '../helpers/killing.js';
import { logsOf, processesWith } from '../helpers/leftovers.js';
import { holdsDuring } from '../helpers/meanwhile.js';
import { PrivateLibvirt, unlessPrivateLibvirt } from '../helpers/private-libvirt.js';
import { unlessBusybox } from '../helpers/roots.js';
import { bakeSnapshot, privateStore } from '../helpers/snapshots.js';

const skip =
  embedded.skip || unlessPrivateLibvirt() || unlessBusybox || unlessProgram('qemu-img', 'mke2fs', 'e2fsck', 'debugfs');

/** One with an image. */
interface Machine {
  readonly name: string;
  readonly pid: number;
}

interface Killing {
  /** The machine comes up, and libvirtd waits for it; else it is at work. */
  readonly starts?: boolean;
  readonly libvirtd?: boolean;
  readonly program?: boolean;
}

/** A service beside a libvirtd of its own. */
class Lab {
  private constructor(
    readonly images: KilledImages,
    readonly other: string,
    readonly libvirt: PrivateLibvirt,
  ) {}

  static async start(t: TestContext, env: Readonly<Record<string, string>>): Promise<Lab> {
    const libvirt = await PrivateLibvirt.start();
    const end = () => libvirt.end();
    try {
      const domains = async () => (await libvirt.virsh('list', '--all', '--name')).split('\n');
      const { uri, through } = libvirt;
      const images = await KilledImages.make(t, env, { uri, through, where: { domains } });
      // Behind what removes the service.
      t.after(end);
      return new Lab(images, `${images.service.name}-2`, libvirt);
    } catch (error) {
      await end();
      throw error;
    }
  }

  /** Runs a command, and kills what is told. Whatever becomes of it, its machine is gone. */
  async kill(t: TestContext, command: readonly string[], killing: Killing): Promise<Ended> {
    const { images, libvirt } = this;
    const running = images.service.begin(command);
    let stopped: Machine | undefined;
    await holdsDuring(running.result, () => {
      const isTime = killing.starts || valueOr(() => isImageInUse(images.draft() ?? images.image), false);
      const machine = isTime ? this.#machine() : undefined;
      // It may have ended meanwhile.
      if (machine && valueOr(() => process.kill(machine.pid, 'SIGSTOP'), false)) stopped = machine;
      return stopped !== undefined;
    });
    const { name, pid } = stopped ?? assert.fail();
    images.mustGo(name);
    t.after(() => {
      for (const log of logsOf(name, { logs: '/var/log/libvirt/qemu' })) rmSync(log, { force: true });
    });
    // In its namespaces it has another number.
    const [program = 0] = childrenOf(running.pid, '');
    if (killing.libvirtd) await libvirt.killDaemon();
    if (killing.program) process.kill(program, 'SIGKILL');
    else if (!killing.starts) process.kill(pid, 'SIGCONT');
    const ended = await running.result;
    if (killing.libvirtd) await libvirt.restartDaemon();
    await images.assertNoMachine();
    return ended;
  }

  #machine(): Machine | undefined {
    const namespaceOf = (pid: number | string) => valueOr(() => readlinkSync(`/proc/${pid}/ns/pid`), '');
    const own = namespaceOf(this.libvirt.through[2] ?? '');
    return processesWith('guest=sandbox-')
      .map((line) => ({ name: /guest=(sandbox-[0-9a-f]+),/.exec(line)?.[1] ?? '', pid: Number.parseInt(line, 10) }))
      .find(({ pid }) => namespaceOf(pid) === own);
  }
}

describe('a state in an image, over a libvirtd', { skip }, () => {
  const { env, remove } = privateStore();
  before(() => bakeSnapshot(['-c', embedded.uri, '--slots', 'disks=1'], { env }, ['--overlay']));
  after(remove);

  it('is cloned, imported and upgraded by the next call, whatever was killed, and loses nothing', async (t) => {
    const lab = await Lab.start(t, env);
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
