/** A service with its state in an image, for programs that work on it and are killed. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { TestContext } from 'node:test';
import { ACCEL } from './acceleration.js';
import { embedded } from './connections.js';
import { imageFile, unlessProgram } from './images.js';
import { type Calls, KilledPrograms } from './killed-image-programs.js';
import { assertMadeAfter, type Making, unlessTraced } from './killing.js';
import type { WhereLeft } from './leftovers.js';
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
  readonly programs: KilledPrograms;
  readonly #scratch: string;

  private constructor(
    t: TestContext,
    env: Readonly<Record<string, string>>,
    { through = [], where = {} }: WhereKilled,
  ) {
    this.service = serviceProgram(t, { env, through });
    this.root = makeRoot(t, 'etc/keys', ...['dev', 'proc', 'sys', 'run', 'tmp', 'root', 'srv']);
    chmodSync(join(this.root, 'etc/keys'), 0o700);
    this.image = join(this.service.states, `${this.service.name}.qcow2`);
    this.#scratch = scratchDirectory(t);
    this.programs = new KilledPrograms(this.service, join(this.#scratch, 'calls'), where);
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
        await this.programs.assertNoMachine();
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
  for await (const { what, ended } of images.programs.kills(command, calls, () => images.draft()))
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
