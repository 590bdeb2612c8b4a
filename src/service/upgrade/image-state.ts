/**
 * A state that an image keeps, as a machine with the image tells it. A guest has written that file system, so its kernel
 * may not be what was started: all that it says is about its own state, and has a bound.
 */
import { createHash, randomBytes } from 'node:crypto';
import { createReadStream, statSync } from 'node:fs';
import { join } from 'node:path';
import { UPPER } from '../../sandbox/devices/overlay-directory.js';
import type { Layer } from '../../sandbox/devices/overlay-layers.js';
import { KEPT } from '../../sandbox/overlay/changes-inside.js';
import { type UpperLayer, WHITEOUT } from '../../sandbox/overlay/layer.js';
import { SandboxError } from '../../util/errors.js';
import { bytesOf, textOf } from '../../util/raw-text.js';
import { ABSENT, type Algorithm, MOST_BYTES, OTHER } from '../content/fingerprint.js';
import type { ImageCalls, ImageSession } from '../store/image-session.js';
import type { ChangeableState, Fresh, OwnEntry, StateTree } from './state.js';

/** Of the disk, beside the layers: what is half copied when the machine ends stays there. */
const DRAFTS = `${KEPT}/upgrade`;

const S_IFMT = 0o170000n;
const S_IFREG = 0o100000n;
const S_IFLNK = 0o120000n;

/** A machine has one layer. */
const LAYER: Layer = { mount: '', way: [UPPER] };

export class ImageState implements ChangeableState {
  readonly layers = [LAYER];
  readonly drafts: string;
  readonly #session: ImageSession;
  readonly #layer: UpperLayer;

  private constructor(session: ImageSession, layer: UpperLayer, drafts: string) {
    this.#session = session;
    this.#layer = layer;
    this.drafts = drafts;
  }

  /**
   * @param drafts a directory of this host
   * @throws {SandboxError} as `ImageSession.layer`
   */
  static async of(session: ImageSession, drafts: string): Promise<ImageState> {
    return new ImageState(session, await session.layer(), drafts);
  }

  open(): StateTree {
    return new ImageTree(this.#layer, (path, algorithm) => this.#digest(path, algorithm));
  }

  /** Drafts of an upgrade that was killed are removed. */
  async begin(): Promise<void> {
    await this.#session.file(DRAFTS, async (calls) => {
      await calls.remove(DRAFTS, { recursive: true, force: true });
      await calls.mkdir(DRAFTS, { mode: 0o700 });
    });
  }

  /** What was changed is on the disk. */
  async end(): Promise<void> {
    await this.#session.file('what was changed', async (calls) => {
      await calls.remove(DRAFTS, { recursive: true, force: true });
      await calls.sync();
    });
  }

  async remove(_: Layer, names: readonly string[]): Promise<void> {
    await this.#session.file(shown(names), (calls) => unlessGone(calls.remove(pathOf(names), { force: true })));
  }

  async put(_: Layer, names: readonly string[], { uid, gid, mode, content }: Fresh): Promise<void> {
    const draft = `${DRAFTS}/${randomBytes(8).toString('hex')}`;
    const make = async (calls: ImageCalls) => {
      if (content.type === 'directory') await calls.mkdir(draft, { mode: 0o700 });
      else if (content.type === 'link')
        await calls.call({ op: 'symlink', target: textOf(content.target), path: draft });
      else await calls.write(draft, createReadStream(content.path), 0o600);
      await calls.call({ op: 'chown', path: draft, uid, gid });
      if (content.type !== 'link') await calls.call({ op: 'chmod', path: draft, mode });
      // The name of the copy before is not given to one that could not be written.
      if (content.type === 'file') await calls.sync();
      await unlessGone(calls.rename(draft, pathOf(names)));
    };
    await this.#session.file(shown(names), make, content.type === 'file' ? statSync(content.path).size : 0);
  }

  async #digest(path: string, algorithm: Algorithm): Promise<string> {
    const hash = createHash(algorithm);
    let size = 0;
    const take = (piece: Buffer) => {
      size += piece.length;
      if (size <= MOST_BYTES) hash.update(piece);
      return size <= MOST_BYTES;
    };
    try {
      const from = `${KEPT}/${UPPER}${path}`;
      await this.#session.file(path, (calls) => calls.readPieces(from, take), MOST_BYTES);
    } catch (error) {
      if (isGone(error)) return ABSENT;
      throw error;
    }
    return size > MOST_BYTES ? OTHER : `${algorithm}:${hash.digest('hex')}`;
  }
}

/** As errors say it. */
function shown(names: readonly string[]): string {
  return `/${names.join('/')}`;
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
