/**
 * Has a Wayland compositor give its screen another size, by wlroots' protocol for what is connected:
 * https://wayland.app/protocols/wlr-output-management-unstable-v1
 */
import type { ScreenSize } from '../../config/types.js';
import { DisplayError, type DisplayPeer, padded, words } from './display-peer.js';

const MANAGER = 'zwlr_output_manager_v1';

/** Objects of this client. Those of the compositor have large numbers. */
const DISPLAY = 1;
const REGISTRY = 2;
const SYNCED = 3;
const OUTPUTS = 4;
const FIRST_FREE = 5;

/** A configuration is for what was connected when it was asked for. So often it may have changed meanwhile. */
const TRIES = 5;

interface Event {
  readonly object: number;
  readonly code: number;
  readonly fields: Buffer;
}

/** @throws {DisplayError} if it does not */
export async function resizeWayland(peer: DisplayPeer, size: ScreenSize): Promise<void> {
  const name = await findManager(peer);
  peer.write(message(REGISTRY, 0, words(name), text(MANAGER), words(1, OUTPUTS)));
  const outputs = new Outputs();
  for (let attempt = 0; attempt < TRIES; attempt += 1) {
    while (outputs.serial === undefined) outputs.take(await next(peer));
    const { serial, head } = outputs;
    outputs.serial = undefined;
    if (head === undefined) throw new DisplayError('it has no screen');
    const configuration = FIRST_FREE + 2 * attempt;
    peer.write(
      message(OUTPUTS, 0, words(configuration, serial)),
      message(configuration, 0, words(configuration + 1, head)),
      // As often a second as it wants.
      message(configuration + 1, 1, words(size.width, size.height, 0)),
      message(configuration, 2),
    );
    const result = await resultOf(peer, configuration, outputs);
    if (result === 'done') return;
    if (result === 'refused') throw new DisplayError('it refuses that size');
  }
  throw new DisplayError('its screens change all the time');
}

/** What of the screens counts here. */
class Outputs {
  /** The first screen: a machine has one. */
  head: number | undefined;
  /** All of it has been said. */
  serial: number | undefined;

  take({ object, code, fields }: Event): void {
    if (object !== OUTPUTS || fields.length < 4) return;
    if (code === 0) this.head ??= fields.readUInt32LE();
    if (code === 1) this.serial = fields.readUInt32LE();
  }
}

async function resultOf(
  peer: DisplayPeer,
  configuration: number,
  outputs: Outputs,
): Promise<'done' | 'refused' | 'outdated'> {
  for (;;) {
    const event = await next(peer);
    if (event.object === configuration) return (['done', 'refused'] as const)[event.code] ?? 'outdated';
    outputs.take(event);
  }
}

/** @returns the number under which the compositor has it */
async function findManager(peer: DisplayPeer): Promise<number> {
  peer.write(message(DISPLAY, 1, words(REGISTRY)), message(DISPLAY, 0, words(SYNCED)));
  let name: number | undefined;
  for (;;) {
    const { object, code, fields } = await next(peer);
    if (object === SYNCED) break;
    if (object === REGISTRY && code === 0 && fields.indexOf(`${MANAGER}\0`, 8) === 8) name = fields.readUInt32LE();
  }
  if (name === undefined) throw new DisplayError(`it has no ${MANAGER}`);
  return name;
}

/** @throws {DisplayError} for its refusal */
async function next(peer: DisplayPeer): Promise<Event> {
  const head = await peer.read(8);
  const [object, code, size] = [head.readUInt32LE(), head.readUInt16LE(4), head.readUInt16LE(6)];
  if (size < 8) throw new DisplayError('what it says is no event of Wayland');
  const fields = await peer.read(size - 8);
  if (object === DISPLAY && code === 0) throw new DisplayError(`it says: ${fields.toString('utf8', 12, 212)}`);
  return { object, code, fields };
}

function message(object: number, code: number, ...fields: readonly Uint8Array[]): Buffer {
  const all = Buffer.concat(fields);
  return Buffer.concat([words(object, ((8 + all.length) << 16) | code), all]);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(`${value}\0`);
  return Buffer.concat([words(bytes.length), padded(bytes)]);
}
