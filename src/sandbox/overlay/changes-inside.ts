/** What a running sandbox has changed of its root, where the layers are in its own kernel or in a tmpfs of a container. */
import type { GuestConfig } from '../../../init/common/config.js';
import type { Channel } from '../../protocol/channel.js';
import { ProtocolError } from '../../protocol/fields.js';
import { KEPT_FD } from '../../protocol/wire.js';
import { Bytes } from '../../util/bytes.js';
import { isSystemError, messageOf, SandboxError } from '../../util/errors.js';
import { Descent } from '../files/tree/descent.js';
import { BuiltinError, startBuiltin } from '../process/builtin.js';
import { MOST_MEMORY, Room, type UpperLayer } from './layer.js';
import { type MountedOverlay, overlaysIn } from './mounted-overlays.js';
import type { RecordedOverlay } from './recorded.js';
import { LayerReader } from './sent-layer.js';
import { type Change, Walk } from './walk.js';

/** The init's descriptor of the layers. Only a process with all its capabilities may follow it. */
const KEPT = `/proc/1/fd/${KEPT_FD}`;

/** More than a mount table has. */
const MOST_TABLE_BYTES = 8 << 20;

/** A sandbox with such an overlay, as whoever is connected to it has it. */
export interface OverlaidSandbox {
  readonly name: string;
  readonly channel: Channel;
  readonly guest: GuestConfig;
  /** The host directory that is the root inside. */
  readonly root: string;
  readonly overlay: RecordedOverlay;
}

/**
 * The changes in the order of their paths, as `overlayChanges` has them. The sandbox says what it has changed: whoever
 * has taken over its kernel may say anything.
 * @throws {SandboxError} `overlay-too-deep`, `overlay-too-large`, `overlay-unreadable`, `process-lost`
 */
export async function changesInside(sandbox: OverlaidSandbox): Promise<Change[]> {
  const { name, root, overlay } = sandbox;
  const room = new Room(MOST_MEMORY, () => tooLarge(name));
  const walk = new Walk({ room, hasOwners: overlay.hasOwners });
  try {
    for (const { path, upper } of await overlaysOf(sandbox)) {
      const layer = await readLayer(sandbox, `${KEPT}/${upper}`, room);
      compare(walk, layer, root, path);
    }
  } catch (error) {
    if (error instanceof BuiltinError || error instanceof ProtocolError || isSystemError(error))
      throw unreadable(name, error);
    throw error;
  }
  return walk.sorted();
}

/** A container has one for each mount below its root. */
async function overlaysOf(sandbox: OverlaidSandbox): Promise<readonly MountedOverlay[]> {
  if (sandbox.guest.platform === 'machine') return [{ path: '', upper: 'upper' }];
  const table = new Bytes();
  await runAsRoot(sandbox, ['read', '/proc/1/mountinfo'], (chunk) => {
    if (table.length + chunk.length > MOST_TABLE_BYTES) throw new ProtocolError('a mount table without end');
    table.add(chunk);
  });
  return overlaysIn(table.take().toString('latin1'));
}

async function readLayer(sandbox: OverlaidSandbox, path: string, room: Room): Promise<UpperLayer> {
  const reader = new LayerReader(room, sandbox.overlay.ids);
  await runAsRoot(sandbox, ['layer', path], (chunk) => reader.push(chunk));
  return reader.end();
}

function compare(walk: Walk, layer: UpperLayer, root: string, path: string): void {
  const below = new Descent(`${root}${path}`);
  try {
    walk.compare(layer, below, `${root}${path}`, path);
  } finally {
    below.close();
  }
}

/**
 * Runs a program of the init with all its capabilities.
 * @param take gets what it writes, and throws to end it
 */
async function runAsRoot(
  { channel, guest, name }: OverlaidSandbox,
  argv: readonly string[],
  take: (chunk: Buffer) => void,
): Promise<void> {
  const identity = { uid: 0, gid: 0, groups: [], username: 'root', home: '/' };
  const root: GuestConfig = { ...guest, identity, privileged: true, userNamespaces: false, environment: [], cwd: '/' };
  const program = await startBuiltin(channel, root, argv, `the changes of ${name}`);
  try {
    program.stdin.end();
    for await (const chunk of program.stdout as AsyncIterable<Buffer>) take(chunk);
    await program.ended;
  } catch (error) {
    void program.kill();
    throw error;
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
  const why = error instanceof ProtocolError ? `its init answered with ${error.message}` : messageOf(error);
  return new SandboxError({
    stage: 'application',
    code: 'overlay-unreadable',
    message: `what the sandbox ${name} has changed cannot be read: ${why}`,
    remedy: 'if programs inside move directories, ask again when they have ended; else stop it',
    cause: error,
  });
}
