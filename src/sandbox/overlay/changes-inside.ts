/** What a running sandbox has changed of its root, where the layers are in its kernel or in a container's memory. */
import type { GuestConfig } from '../../../init/common/config.js';
import { quote } from '../../config/errors.js';
import { ErofsError } from '../../oci/erofs/reader.js';
import type { Channel } from '../../protocol/channel.js';
import { ProtocolError } from '../../protocol/fields.js';
import { KEPT_FD } from '../../protocol/wire.js';
import { Bytes } from '../../util/bytes.js';
import { isSystemError, messageOf, SandboxError } from '../../util/errors.js';
import { unlessAborted } from '../../util/promises.js';
import { bytesOf } from '../../util/raw-text.js';
import { asRoot } from '../process/as-root.js';
import { BuiltinError, startBuiltin } from '../process/builtin.js';
import { ImageBelow } from './image-below.js';
import { type LowerLayer, MOST_MEMORY, Room, type UpperLayer } from './layer.js';
import { type MountedOverlay, overlaysIn } from './mounted-overlays.js';
import type { RecordedOverlay } from './recorded.js';
import { Lower } from './root-below.js';
import { LayerReader } from './sent-layer.js';
import { rootBelow } from './unseen.js';
import { type Change, Walk } from './walk.js';

/** The init's descriptor of the layers. Only a process with all its capabilities may follow it. */
export const KEPT = `/proc/1/fd/${KEPT_FD}`;

/** More than a mount table has. */
const MOST_TABLE_BYTES = 8 << 20;

/** How long the sandbox may send nothing, in milliseconds. A busy host may be slow, so all of it has no limit. */
const MOST_SILENCE = 60_000;

/** A sandbox that runs, as whoever is connected to it has it. */
export interface RunningInside {
  readonly name: string;
  readonly channel: Channel;
  readonly guest: GuestConfig;
}

/** A sandbox with such an overlay. */
export interface OverlaidSandbox extends RunningInside {
  /** The host directory that is the root inside, or the file that an image's file system is in. */
  readonly root: string;
  /** What that image is called; undefined: the root is a directory. */
  readonly rootImage?: string | undefined;
  readonly overlay: RecordedOverlay;
}

/**
 * The changes in the order of their paths, as `overlayChanges` has them. The sandbox says what it has changed: whoever
 * has taken over its kernel may say anything.
 * @param silence how long it may send nothing, in milliseconds
 * @throws {SandboxError} `overlay-root-gone`, `overlay-too-deep`, `overlay-too-large`, `overlay-unreadable`,
 *   `process-lost`
 */
export async function changesInside(sandbox: OverlaidSandbox, silence = MOST_SILENCE): Promise<Change[]> {
  const { name, overlay } = sandbox;
  const room = new Room(MOST_MEMORY, () => tooLarge(name));
  const walk = new Walk({ room, ...overlay });
  const run: RunAsRoot = (argv, take) => runAsRoot(sandbox, argv, take, silence);
  try {
    for (const { path, upper } of await overlaysOf(sandbox, run)) {
      const reader = new LayerReader(room, overlay.ids);
      await run(['layer', `${KEPT}/${upper}`], (chunk) => reader.push(chunk));
      compare(walk, reader.end(), sandbox, path);
    }
  } catch (error) {
    // A damaged image is found when the way leads there.
    throw error instanceof ErofsError ? rootGone(name, sandbox.root, error) : readError(name, error);
  }
  return walk.sorted();
}

/**
 * The layer of a machine's overlay, without the root that it lies over.
 * @throws {SandboxError} `overlay-too-deep`, `overlay-too-large`, `overlay-unreadable`, `process-lost`
 */
export async function layerInside(sandbox: RunningInside, silence = MOST_SILENCE): Promise<UpperLayer> {
  const { name } = sandbox;
  try {
    const reader = new LayerReader(new Room(MOST_MEMORY, () => tooLarge(name)));
    await runAsRoot(sandbox, ['layer', `${KEPT}/upper`], (chunk) => reader.push(chunk), silence);
    return reader.end();
  } catch (error) {
    throw readError(name, error);
  }
}

function readError(name: string, error: unknown): unknown {
  const isOfReading = error instanceof BuiltinError || error instanceof ProtocolError || isSystemError(error);
  return isOfReading ? unreadable(name, error as Error) : error;
}

type RunAsRoot = (argv: readonly string[], take: (chunk: Buffer) => void) => Promise<void>;

/** A container has one for each mount below its root. */
async function overlaysOf(sandbox: OverlaidSandbox, run: RunAsRoot): Promise<readonly MountedOverlay[]> {
  if (sandbox.guest.platform === 'machine') return [{ path: '', upper: 'upper' }];
  const table = new Bytes();
  await run(['read', '/proc/1/mountinfo'], (chunk) => {
    if (table.length + chunk.length > MOST_TABLE_BYTES) throw new ProtocolError('a mount table without end');
    table.add(chunk);
  });
  return overlaysIn(table.take().toString('latin1'));
}

/** @param path where the overlay is inside. A mount that the host has no more counts as empty. */
function compare(
  walk: Walk,
  layer: UpperLayer,
  { name, root, rootImage, overlay }: OverlaidSandbox,
  path: string,
): void {
  const start = bytesOf(path).toString('latin1').split('/').slice(1);
  let lower: LowerLayer | undefined;
  try {
    lower = rootImage === undefined ? Lower.open(rootBelow(root, overlay), start) : ImageBelow.open(root);
  } catch (error) {
    throw isSystemError(error) || error instanceof ErofsError ? rootGone(name, root, error) : error;
  }
  try {
    walk.compare(layer, lower, path);
  } finally {
    lower?.close();
  }
}

/**
 * Runs a program of the init with all its capabilities.
 * @param take gets what it writes, and throws to end it
 * @param silence as of {@link changesInside}
 */
async function runAsRoot(
  { channel, guest, name }: RunningInside,
  argv: readonly string[],
  take: (chunk: Buffer) => void,
  silence: number,
): Promise<void> {
  const silent = new AbortController();
  const { signal } = silent;
  const timer = setTimeout(() => silent.abort(silentError(name, silence)), silence);
  try {
    const program = await startBuiltin(channel, asRoot(guest), argv, `the changes of ${name}`, { signal });
    const read = async () => {
      program.stdin.end();
      for await (const chunk of program.stdout as AsyncIterable<Buffer>) {
        timer.refresh();
        take(chunk);
      }
      await program.ended;
    };
    await unlessAborted(read(), signal, (reason) => reason as Error).catch((error: unknown) => {
      void program.kill();
      throw error;
    });
  } finally {
    clearTimeout(timer);
  }
}

function tooLarge(name: string): SandboxError {
  return new SandboxError({
    stage: 'application',
    code: 'overlay-too-large',
    message: `the sandbox ${name} has changed more names than there is room for`,
    remedy: 'look for them inside',
  });
}

function unreadable(name: string, error: Error): SandboxError {
  const why = error instanceof ProtocolError ? `its init sends nonsense: ${error.message}` : messageOf(error);
  return new SandboxError({
    stage: 'application',
    code: 'overlay-unreadable',
    message: `what the sandbox ${name} has changed cannot be read: ${why}`,
    remedy: 'if programs inside change files meanwhile, ask again when they have ended; else stop it',
    cause: error,
  });
}

function silentError(name: string, silence: number): SandboxError {
  return new SandboxError({
    stage: 'application',
    code: 'overlay-unreadable',
    message: `what the sandbox ${name} has changed cannot be read: it has sent nothing for ${silence / 1000} s`,
    remedy: 'ask again when this host has less to do; else stop it',
  });
}

function rootGone(name: string, root: string, error: Error): SandboxError {
  return new SandboxError({
    stage: 'application',
    code: 'overlay-root-gone',
    message: `the root ${quote(root)} of the sandbox ${name} cannot be read: ${error.message}`,
    remedy: 'put it back where it was, or look for the changes inside',
    cause: error,
  });
}
