/** A service with its state in an image, for programs that work on it and are killed. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { TestContext } from 'node:test';
import { isImageInUse } from '../../src/sandbox/devices/overlay-image.js';
import { valueOr } from '../../src/util/errors.js';
import { ACCEL } from './acceleration.js';
import { embedded } from './connections.js';
import { imageFile, unlessProgram } from './images.js';
import {
  assertKilledAt,
  assertMadeAfter,
  type Ended,
  killedAt,
  type Making,
  sandboxesIn,
  someSteps,
  tracedFor,
  unlessTraced,
} from './killing.js';
import { assertNothingLeft, type WhereLeft } from './leftovers.js';
import { holdsDuring } from './meanwhile.js';
import { makeRoot, unlessBusybox } from './roots.js';
import { scratchDirectory, unlessRoot } from './scratch.js';
import { type ServiceProgram, serviceProgram } from './serving.js';

/** A reason to skip, or false. */
export const unlessImagesKilled =
  embedded.skip ||
  unlessRoot('copies files') ||
  unlessTraced() ||
  unlessBusybox ||
  unlessProgram('qemu-img', 'mke2fs', 'e2fsck', 'debugfs');

export const ID = `${'1'.repeat(32)}\n`;

/** Written once: what a clone does at its own start must not hide what it has. */
const ONCE = `test -e /srv/ready || { printf '%032d\\n' 0 | busybox tr 0 1 > /etc/machine-id; echo of web > /srv/data
  busybox sync; : > /srv/ready; busybox sync; }; exec busybox sleep 1000`;

/** Calls of a program itself, and of those that it starts: QEMU writes to the image. */
export interface Calls {
  readonly own: readonly string[];
  readonly others: readonly string[];
}

/** Processes that hold a machine, by the beginning of their names. */
const HOLDERS = ['supervisor', 'virt-qemu-run', 'qemu-system'];

/** A program that has ended, since it was killed, or a process that it had started. */
export interface Killed {
  /** For errors. */
  readonly what: string;
  readonly ended: Ended;
}

/** Where its machines run. */
export interface WhereKilled {
  readonly uri: string;
  /** The words that enter the namespaces of a libvirtd. */
  readonly through?: readonly string[];
  readonly where?: WhereLeft;
}

export class KilledImages {
  readonly service: ServiceProgram;
  /** A directory of this host, of which /etc/keys is copied into the state. */
  readonly root: string;
  /** The state. */
  readonly image: string;
  readonly #scratch: string;
  readonly #log: string;
  /** Sandboxes that were started by programs which were killed. */
  readonly #sandboxes = new Set<string>();
  readonly #where: WhereLeft;

  private constructor(
    t: TestContext,
    env: Readonly<Record<string, string>>,
    { through = [], where = {} }: WhereKilled,
  ) {
    this.service = serviceProgram(t, { env, through });
    this.#where = where;
    this.root = makeRoot(t, 'etc/keys', ...['dev', 'proc', 'sys', 'run', 'tmp', 'root', 'srv']);
    chmodSync(join(this.root, 'etc/keys'), 0o700);
    this.image = join(this.service.states, `${this.service.name}.qcow2`);
    this.#scratch = scratchDirectory(t);
    this.#log = join(this.#scratch, 'calls');
  }

  /** The service has run, and does not run. @param env for programs that find a snapshot, since they start many machines */
  static async make(
    t: TestContext,
    env: Readonly<Record<string, string>>,
    killed: WhereKilled = { uri: embedded.uri },
  ): Promise<KilledImages> {
    const images = new KilledImages(t, env, killed);
    const { name, create, out } = images.service;
    images.setKey('key 0\n');
    const where = ['-c', killed.uri, ...ACCEL, '-i', '200', '-r', images.root, '--copy-path', '/etc/keys'];
    await create(...where, name, '--', '/bin/sh', '-c', ONCE);
    await out('start', name);
    await out('execute', name, '--', 'sh', '-c', 'until test -e /srv/ready; do busybox sleep 0.1; done');
    await out('stop', name);
    return images;
  }

  setKey(text: string): void {
    writeFileSync(join(this.root, 'etc/keys/key'), text, { mode: 0o600 });
  }

  /** Whether a service is there. Then it is described as a whole. */
  async isThere(name: string): Promise<boolean> {
    const { out } = this.service;
    if (!(await out('list', '--quiet')).split('\n').includes(name)) return false;
    assert.match(await out('show', name), /^argv\.0=\/bin\/sh$/m);
    return true;
  }

  /**
   * Runs a command again and again. At first nothing is killed; then it, or what it starts, at some steps of each call;
   * at last each process that holds the machine.
   * @param imageOf the image of the machine; undefined: it is not there yet
   */
  async *kills(command: readonly string[], calls: Calls, imageOf: () => string | undefined): AsyncGenerator<Killed> {
    yield* this.#killsAt(command, calls.own, true);
    yield* this.#killsAt(command, calls.others, false);
    for (const holder of HOLDERS) yield { what: holder, ended: await this.#runWithout(command, holder, imageOf) };
  }

  async *#killsAt(command: readonly string[], calls: readonly string[], isAlone: boolean): AsyncGenerator<Killed> {
    const tracing = { isAlone, log: this.#log };
    const whole = await this.#run(command, tracedFor(calls, tracing));
    assert.equal(whole.code, 0, whole.stderr);
    const steps = someSteps(calls, this.#log);
    yield { what: 'nothing', ended: whole };
    const killed = new Set<string>();
    for (const step of steps) {
      const ended = await this.#run(command, killedAt(step, tracing));
      // Threads of QEMU share their work in another way each time.
      if (ended.code !== 0) killed.add(step.call);
      yield { what: `${step.call} ${step.when}`, ended };
    }
    assertKilledAt(killed, calls);
  }

  async #run(command: readonly string[], through: readonly string[]): Promise<Ended> {
    rmSync(this.#log, { force: true });
    const ended = await this.service.run(command, { through });
    for (const name of sandboxesIn(this.#log)) this.#sandboxes.add(name);
    return ended;
  }

  /** One process that holds the machine is killed, and nothing else. */
  async #runWithout(command: readonly string[], holder: string, imageOf: () => string | undefined): Promise<Ended> {
    const running = this.service.begin(command);
    await holdsDuring(running.result, () => {
      const image = imageOf();
      if (image === undefined || !valueOr(() => isImageInUse(image), false)) return false;
      return this.killHolder(running.pid, holder);
    });
    return running.result;
  }

  /**
   * Kills a process that holds the machine of a program.
   * @param pid of the program
   * @returns false: it has none
   */
  killHolder(pid: number, holder: string): boolean {
    const [supervisor] = childrenOf(pid, 'supervisor');
    const [found] = supervisor === undefined || holder === 'supervisor' ? [supervisor] : childrenOf(supervisor, holder);
    if (supervisor === undefined || found === undefined) return false;
    this.#sandboxes.add(basename(wordsOf(supervisor)[1] ?? ''));
    return valueOr(() => process.kill(found, 'SIGKILL'), false);
  }

  /** Its machine is to be gone at last. */
  mustGo(sandbox: string): void {
    this.#sandboxes.add(sandbox);
  }

  /** Machines of programs that were killed are gone. */
  async assertNoMachine(): Promise<void> {
    for (const name of this.#sandboxes) await assertNothingLeft(name, this.#where);
    this.#sandboxes.clear();
  }

  /** Another service, which a command makes of this one. It keeps this one as it is. */
  making(other: string, command: readonly string[]): Making {
    const { service, image } = this;
    const [state, before] = [readFileSync(image), this.left()];
    return {
      run: () => service.run(command),
      isThere: async (step) => {
        if (!(await this.isThere(other))) return false;
        const file = (path: string) => this.file(join(service.states, `${other}.qcow2`), path);
        assert.equal(file('/upper/srv/data'), 'of web\n', step);
        assert.match(file('/upper/etc/machine-id'), /^(?!1{32})[0-9a-f]{32}\n$/, step);
        return true;
      },
      remove: async () => {
        await service.out('delete', other);
        await this.assertNoMachine();
      },
      left: () => {
        assert.ok(readFileSync(image).equals(state), 'the state of the source has changed');
        return this.left().filter((entry) => !before.includes(entry));
      },
    };
  }

  /** What is there besides the service. */
  left(): string[] {
    const { name, leftovers } = this.service;
    return leftovers().filter((entry) => ![name, `.${name}.lock`, basename(this.image)].includes(entry));
  }

  /** The file that is being made for an image. */
  draft(): string | undefined {
    const { states } = this.service;
    const name = readdirSync(states).find((entry) => /^\.[0-9a-f]{32}\.qcow2$/.test(entry));
    return name === undefined ? undefined : join(states, name);
  }

  /** As {@link fileOfState}. */
  file(image: string, path: string): string {
    return fileOfState(image, path, this.#scratch);
  }
}

/** Another service is made by a command that is killed, again and again; at last it runs. */
export async function assertMadeOf(
  t: TestContext,
  env: Readonly<Record<string, string>>,
  calls: Calls,
  commandOf: (images: KilledImages, other: string) => Promise<readonly string[]>,
): Promise<void> {
  const images = await KilledImages.make(t, env);
  const { service } = images;
  const other = `${service.name}-2`;
  const command = await commandOf(images, other);
  const making = images.making(other, command);
  for await (const { what, ended } of images.kills(command, calls, () => images.draft()))
    await assertMadeAfter(making, what, ended);
  await service.out(...command);
  await service.out('start', other);
  const look = ['busybox', 'cat', '/etc/machine-id', '/srv/data'];
  assert.match(await service.out('execute', other, '--', ...look), /^(?!1{32})[0-9a-f]{32}\nof web\n$/);
  await service.out('stop', other);
}

/**
 * A file that the state in an image has, whose file system has no damage.
 * @param scratch a directory for a copy of the image
 * @returns '' if it is not there
 */
export function fileOfState(image: string, path: string, scratch: string): string {
  const raw = join(scratch, 'raw');
  execFileSync('qemu-img', ['convert', '-O', 'raw', image, raw]);
  execFileSync('e2fsck', ['-E', 'journal_only', '-y', raw], { stdio: 'pipe' });
  execFileSync('e2fsck', ['-fn', raw], { stdio: 'pipe' });
  return imageFile(raw, path);
}

/** The children of a process's first thread, by the beginning of their names. */
export function childrenOf(pid: number, name: string): number[] {
  const children = valueOr(() => readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8'), '');
  return children
    .split(' ')
    .map(Number)
    .filter((child) => child > 0 && valueOr(() => readFileSync(`/proc/${child}/comm`, 'utf8'), '').startsWith(name));
}

function wordsOf(pid: number): string[] {
  return valueOr(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8'), '').split('\0');
}
