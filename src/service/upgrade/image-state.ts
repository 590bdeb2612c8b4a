/**
 * A state that an image keeps, as a machine with the image tells it. A guest has written that file system, so its kernel
 * may not be what was started: all that it says is about its own state, and has a bound.
 */
import { createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { UPPER } from '../../sandbox/devices/overlay-directory.js';
import type { Layer } from '../../sandbox/devices/overlay-layers.js';
import { Files } from '../../sandbox/files/files.js';
import { KEPT, layerInside } from '../../sandbox/overlay/changes-inside.js';
import { type UpperLayer, WHITEOUT } from '../../sandbox/overlay/layer.js';
import { asRoot } from '../../sandbox/process/as-root.js';
import type { Sandbox } from '../../sandbox/sandbox.js';
import { SandboxError } from '../../util/errors.js';
import { bytesOf, textOf } from '../../util/raw-text.js';
import { ABSENT, type Algorithm, MOST_BYTES, OTHER } from '../content/fingerprint.js';
import type { ChangeableState, Fresh, OwnEntry, StateTree } from './state.js';

/** Of the disk, beside the layers: what is half copied when the machine ends stays there. */
const DRAFTS = `${KEPT}/upgrade`;

/** How long the machine may send nothing of a file, in milliseconds. */
const MOST_SILENCE = 60_000;

const S_IFMT = 0o170000n;
const S_IFREG = 0o100000n;
const S_IFLNK = 0o120000n;

/** A machine has one layer. */
const LAYER: Layer = { mount: '', way: [UPPER] };

type Machine = Pick<Sandbox['launched'], 'name' | 'channel' | 'guest'>;

export class ImageState implements ChangeableState {
  readonly layers = [LAYER];
  readonly drafts: string;
  readonly #machine: Machine;
  readonly #files: Files;
  readonly #layer: UpperLayer;

  private constructor(machine: Machine, layer: UpperLayer, drafts: string) {
    this.#machine = machine;
    this.#files = new Files(machine.channel, asRoot(machine.guest));
    this.#layer = layer;
    this.drafts = drafts;
  }

  /**
   * @param drafts a directory of this host
   * @throws {SandboxError} as `layerInside`
   */
  static async of(machine: Machine, drafts: string): Promise<ImageState> {
    return new ImageState(machine, await layerInside(machine), drafts);
  }

  open(): StateTree {
    return new ImageTree(this.#layer, (path, algorithm) => this.#digest(path, algorithm));
  }

  /** Drafts of an upgrade that was killed are removed. */
  async begin(): Promise<void> {
    await this.#files.remove(DRAFTS, { recursive: true, force: true });
    await this.#files.mkdir(DRAFTS, { mode: 0o700 });
  }

  /** What was changed is on the disk. */
  async end(): Promise<void> {
    await this.#files.remove(DRAFTS, { recursive: true, force: true });
    await this.#machine.channel.call({ op: 'sync' });
  }

  async remove(_: Layer, names: readonly string[]): Promise<void> {
    await unlessGone(this.#files.remove(pathOf(names), { force: true }));
  }

  async put(_: Layer, names: readonly string[], { uid, gid, mode, content }: Fresh): Promise<void> {
    const { channel } = this.#machine;
    const draft = `${DRAFTS}/${randomBytes(8).toString('hex')}`;
    if (content.type === 'directory') await this.#files.mkdir(draft, { mode: 0o700 });
    else if (content.type === 'link')
      await channel.call({ op: 'symlink', target: textOf(content.target), path: draft }, { tolerate: true });
    else await this.#files.write(draft, createReadStream(content.path), { mode: 0o600 });
    await channel.call({ op: 'chown', path: draft, uid, gid }, { tolerate: true });
    if (content.type !== 'link') await channel.call({ op: 'chmod', path: draft, mode }, { tolerate: true });
    await unlessGone(this.#files.rename(draft, pathOf(names)));
  }

  async #digest(path: string, algorithm: Algorithm): Promise<string> {
    const silence = new AbortController();
    const timer = setTimeout(() => silence.abort(silentError(path)), MOST_SILENCE);
    try {
      const hash = createHash(algorithm);
      let size = 0;
      for await (const chunk of this.#files.readStream(`${KEPT}/${UPPER}${path}`, { signal: silence.signal })) {
        timer.refresh();
        size += (chunk as Buffer).length;
        if (size > MOST_BYTES) return OTHER;
        hash.update(chunk as Buffer);
      }
      return `${algorithm}:${hash.digest('hex')}`;
    } catch (error) {
      if (isGone(error)) return ABSENT;
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }
}

function pathOf(names: readonly string[]): string {
  return join(KEPT, UPPER, ...names);
}

/** The directory above is gone, or nothing is there. */
function isGone(error: unknown): boolean {
  return error instanceof SandboxError && ['file-not-found', 'not-a-directory'].includes(error.code);
}

async function unlessGone(work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!isGone(error)) throw error;
  }
}

class ImageTree implements StateTree {
  readonly #layer: UpperLayer;
  readonly #digest: (path: string, algorithm: Algorithm) => Promise<string>;
  readonly #way: string[] = [];

  constructor(layer: UpperLayer, digest: (path: string, algorithm: Algorithm) => Promise<string>) {
    this.#layer = layer;
    this.#digest = digest;
  }

  get depth(): number {
    return this.#way.length;
  }

  pathOf(name: string): string {
    return `/${[...this.#way, name].join('/')}`;
  }

  names(): string[] {
    const names: string[] = [];
    this.#layer.names((name) => names.push(textOf(Buffer.from(name, 'latin1'))));
    return names;
  }

  look(name: string): OwnEntry | undefined {
    const found = this.#layer.look(sent(name));
    if (found === undefined) return undefined;
    if (found === WHITEOUT) return { kind: 'whiteout', mode: 0n, uid: 0n, gid: 0n };
    const { mode, uid, gid } = found;
    return { kind: (mode & S_IFMT) === 0o040000n ? 'directory' : 'other', mode, uid, gid };
  }

  enter(name: string): boolean {
    if (!this.#layer.enter(sent(name))) return false;
    this.#way.push(name);
    return true;
  }

  leave(): void {
    this.#layer.leave();
    this.#way.pop();
  }

  async fingerprint(name: string, algorithm: Algorithm): Promise<string> {
    const found = this.#layer.look(sent(name));
    if (found === undefined || found === WHITEOUT) return ABSENT;
    const type = found.mode & S_IFMT;
    if (type === S_IFLNK) return `link:${textOf(Buffer.from(this.#layer.target(sent(name)) ?? '', 'latin1'))}`;
    if (type !== S_IFREG || found.size > BigInt(MOST_BYTES)) return OTHER;
    return this.#digest(this.pathOf(name), algorithm);
  }

  close(): void {
    while (this.#way.length > 0) this.leave();
  }
}

/** As the layer has names: a byte a letter. */
function sent(name: string): string {
  return bytesOf(name).toString('latin1');
}

function silentError(path: string): SandboxError {
  return new SandboxError({
    stage: 'service',
    code: 'overlay-unreadable',
    message: `${JSON.stringify(path)} of the state cannot be read: the machine has sent nothing for ${MOST_SILENCE / 1000} s`,
    remedy: 'try it again when this host has less to do',
  });
}
