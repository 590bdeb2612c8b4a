/** A service with its state in an image, beside a libvirtd of its own, which is killed. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { isImageInUse } from '../../src/sandbox/devices/overlay-image.js';
import { valueOr } from '../../src/util/errors.js';
import { childrenOf } from './children.js';
import { embedded } from './connections.js';
import { unlessProgram } from './images.js';
import { KilledImages } from './killed-images.js';
import { traceRunning } from './killed-programs.js';
import { hasKilled } from './killing/kill-at.js';
import type { Ended, Step } from './killing.js';
import { leftAtLast, logsOf, processesWith } from './leftovers.js';
import { holdsDuring } from './meanwhile.js';
import { PrivateLibvirt, unlessPrivateLibvirt } from './private-libvirt.js';
import { unlessBusybox } from './roots.js';

/** A reason to skip, or false. */
export const unlessDaemonKilled =
  embedded.skip || unlessPrivateLibvirt() || unlessBusybox || unlessProgram('qemu-img', 'mke2fs', 'e2fsck', 'debugfs');

/** One with an image. */
interface Machine {
  readonly name: string;
  readonly pid: number;
}

export interface Killing {
  /** The machine comes up, and libvirtd waits for it; else it is at work. */
  readonly starts?: boolean;
  readonly libvirtd?: boolean;
  readonly program?: boolean;
}

/** How its libvirtd is traced. */
export interface TracedDaemon {
  readonly calls: readonly string[];
  readonly log: string;
  readonly step?: Step;
}

export interface DaemonKilled {
  /** How the command has ended. */
  readonly ended: Ended;
  /** libvirtd was killed. */
  readonly wasKilled: boolean;
}

/** How often machines are looked for, in milliseconds. */
const LOOK_MS = 50;

export class KilledDaemon {
  private constructor(
    readonly images: KilledImages,
    readonly other: string,
    readonly libvirt: PrivateLibvirt,
  ) {}

  static async start(t: TestContext, env: Readonly<Record<string, string>>): Promise<KilledDaemon> {
    const libvirt = await PrivateLibvirt.start();
    const end = () => libvirt.end();
    try {
      const domains = async () => (await libvirt.virsh('list', '--all', '--name')).split('\n');
      const { uri, through } = libvirt;
      const images = await KilledImages.make(t, env, { uri, through, where: { domains } });
      // Behind what removes the service.
      t.after(end);
      return new KilledDaemon(images, `${images.service.name}-2`, libvirt);
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
    images.programs.mustGo(name);
    removeLogs(t, name);
    // In its namespaces it has another number.
    const [program = 0] = childrenOf(running.pid, '');
    if (killing.libvirtd) await libvirt.killDaemon();
    if (killing.program) process.kill(program, 'SIGKILL');
    else if (!killing.starts) process.kill(pid, 'SIGCONT');
    const ended = await running.result;
    if (killing.libvirtd) await libvirt.restartDaemon();
    await images.programs.assertNoMachine();
    return ended;
  }

  /**
   * Runs a command while libvirtd is traced, and killed at a step if there is one. Whatever becomes of it, no machine
   * of its own is left.
   */
  async killAt(t: TestContext, command: readonly string[], traced: TracedDaemon): Promise<DaemonKilled> {
    const { images, libvirt } = this;
    const daemon = this.#daemon();
    const endTrace = await traceRunning(t, daemon, traced);
    const running = images.service.begin(command);
    const seen = new Set<string>();
    const looking = setInterval(() => {
      const { name } = this.#machine() ?? {};
      if (name !== undefined) seen.add(name);
    }, LOOK_MS);
    const ended = await running.result.finally(() => clearInterval(looking));
    await endTrace();
    const wasKilled = hasKilled(traced.log);
    if (wasKilled) {
      assert.deepEqual(await leftAtLast(() => (existsSync(`/proc/${daemon}`) ? [`libvirtd ${daemon}`] : [])), []);
      await libvirt.restartDaemon();
    }
    for (const name of seen) {
      images.programs.mustGo(name);
      removeLogs(t, name);
    }
    await images.programs.assertNoMachine();
    const text = `${ended.stderr}\n${readFileSync(traced.log, 'latin1').slice(-200)}`;
    assert.deepEqual(await leftAtLast(() => [this.#machine()?.name ?? []].flat()), [], text);
    return { ended, wasKilled };
  }

  /** Neither a domain nor a QEMU of that name. */
  async assertNoDomain(name: string, text: string): Promise<void> {
    const left = async () => [
      ...(await this.libvirt.virsh('list', '--all', '--name')).split('\n').filter((domain) => domain === name),
      ...this.#processes(`guest=${name},`, /qemu-system/),
    ];
    assert.deepEqual(await leftAtLast(left), [], text);
  }

  #daemon(): number {
    const [line = assert.fail('there is no libvirtd')] = this.#processes('libvirtd', /^\d+ (?:\S*\/)?libvirtd -f /);
    return Number.parseInt(line, 10);
  }

  #machine(): Machine | undefined {
    const [line] = this.#processes('guest=sandbox-', /guest=sandbox-[0-9a-f]+,/);
    if (line === undefined) return undefined;
    return { name: /guest=(sandbox-[0-9a-f]+),/.exec(line)?.[1] ?? '', pid: Number.parseInt(line, 10) };
  }

  /** Beside its libvirtd. */
  #processes(word: string, pattern: RegExp): string[] {
    const namespaceOf = (pid: number | string) => valueOr(() => readlinkSync(`/proc/${pid}/ns/pid`), '');
    const own = namespaceOf(this.libvirt.through[2] ?? '');
    return processesWith(word).filter((line) => pattern.test(line) && namespaceOf(Number.parseInt(line, 10)) === own);
  }
}

/** A program that is killed leaves them. */
function removeLogs(t: TestContext, name: string): void {
  t.after(() => {
    for (const log of logsOf(name, { logs: '/var/log/libvirt/qemu' })) rmSync(log, { force: true });
  });
}
