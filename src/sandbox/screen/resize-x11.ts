/**
 * Has an X server give its screen another size, by RANDR 1.3: with a mode of that size, which it is given.
 * https://gitlab.freedesktop.org/xorg/proto/xorgproto/-/blob/master/randrproto.txt
 */
import type { ScreenSize } from '../../config/types.js';
import { DisplayError, type DisplayPeer, padded, words } from './display-peer.js';

/** Requests of RANDR. */
const VERSION = 0;
const SET_SCREEN_SIZE = 7;
const OUTPUT_INFO = 9;
const CREATE_MODE = 16;
const DESTROY_MODE = 17;
const ADD_MODE = 18;
const DELETE_MODE = 19;
const SET_CRTC = 21;
const RESOURCES = 25;

/** Names of the modes that are made here begin so. Others of the sandbox stay. */
const OWN = 'virt-sandbox-';

const NO_ROTATION = 1;
/** Pixels of an inch, which programs take letters to be made for. */
const DPI = 96;

interface Mode extends ScreenSize {
  readonly id: number;
  readonly name: string;
}

/** @throws {DisplayError} if it does not */
export async function resizeX11(peer: DisplayPeer, size: ScreenSize): Promise<void> {
  const { window, now } = await greet(peer);
  const x = new Client(peer, await findRandr(peer));
  await x.ask(VERSION, words(1, 3));
  const resources = readResources(await x.ask(RESOURCES, words(window)));
  const output = await connectedOutput(x, resources);
  const own = resources.modes.filter(({ id, name }) => name.startsWith(OWN) && output.modes.includes(id));
  let mode = resources.modes.find(
    ({ id, width, height }) => output.modes.includes(id) && same({ width, height }, size),
  );
  if (mode === undefined) {
    mode = await createMode(x, window, size);
    x.tell(ADD_MODE, words(output.id, mode.id));
  }
  // A screen that is smaller than what is shown of it, or shows nothing, would be seen: it grows first.
  const both = { width: Math.max(now.width, size.width), height: Math.max(now.height, size.height) };
  setScreen(x, window, both);
  await setCrtc(x, output, resources.configured, mode.id);
  setScreen(x, window, size);
  for (const { id } of own.filter((each) => each.id !== mode.id)) {
    x.tell(DELETE_MODE, words(output.id, id));
    x.tell(DESTROY_MODE, words(id));
  }
  // When this is answered, all before has been done.
  await x.ask(VERSION, words(1, 3));
}

class Client {
  readonly #peer: DisplayPeer;
  readonly #extension: number;

  constructor(peer: DisplayPeer, extension: number) {
    this.#peer = peer;
    this.#extension = extension;
  }

  tell(minor: number, fields: Uint8Array): void {
    this.#peer.write(request(this.#extension, minor, fields));
  }

  ask(minor: number, fields: Uint8Array): Promise<Buffer> {
    this.tell(minor, fields);
    return reply(this.#peer);
  }
}

/** @returns the root window, and the size of the screen */
/** @throws {DisplayError} if it is no X server, or lets nobody in */
export async function greet(peer: DisplayPeer): Promise<{ window: number; now: ScreenSize }> {
  // Little-endian, version 11.0, without a cookie.
  peer.write(Buffer.from([0x6c, 0, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0]));
  const head = await peer.read(8);
  const rest = await peer.read(4 * head.readUInt16LE(6));
  if (head[0] !== 1) throw new DisplayError('it lets nobody in');
  // Its maker's name and the formats of pixels come before the first screen.
  const screen = 32 + -(-field(rest, 16, 2) & ~3) + 8 * field(rest, 21, 1);
  return {
    window: field(rest, screen, 4),
    now: { width: field(rest, screen + 20, 2), height: field(rest, screen + 22, 2) },
  };
}

async function findRandr(peer: DisplayPeer): Promise<number> {
  const name = Buffer.from('RANDR');
  peer.write(request(98, 0, Buffer.concat([Buffer.from([name.length, 0, 0, 0]), padded(name)])));
  const found = await reply(peer);
  if (found[8] !== 1) throw new DisplayError('it has no RANDR');
  return field(found, 9, 1);
}

function readResources(bytes: Buffer): { configured: number; outputs: number[]; modes: Mode[] } {
  const [crtcs, outputs, modes] = [16, 18, 20].map((at) => field(bytes, at, 2)) as [number, number, number];
  const first = 32 + 4 * (crtcs + outputs);
  let name = first + 32 * modes;
  return {
    configured: field(bytes, 12, 4),
    outputs: list(bytes, 32 + 4 * crtcs, outputs),
    modes: Array.from({ length: modes }, (_, index) => {
      const at = first + 32 * index;
      const length = field(bytes, at + 26, 2);
      name += length;
      return {
        ...{ id: field(bytes, at, 4), width: field(bytes, at + 4, 2), height: field(bytes, at + 6, 2) },
        name: bytes.toString('latin1', name - length, name),
      };
    }),
  };
}

interface Output {
  readonly id: number;
  /** What draws it. */
  readonly crtc: number;
  readonly modes: readonly number[];
}

async function connectedOutput(
  x: Client,
  { configured, outputs }: { readonly configured: number; readonly outputs: readonly number[] },
): Promise<Output> {
  for (const id of outputs.slice(0, 16)) {
    const bytes = await x.ask(OUTPUT_INFO, words(id, configured));
    const crtcs = field(bytes, 26, 2);
    const crtc = field(bytes, 12, 4);
    if (crtc !== 0) return { id, crtc, modes: list(bytes, 36 + 4 * crtcs, field(bytes, 28, 2)) };
  }
  throw new DisplayError('it shows nothing on its screen');
}

async function createMode(x: Client, window: number, { width, height }: ScreenSize): Promise<Mode> {
  const name = Buffer.from(`${OWN}${width}x${height}`);
  const info = Buffer.alloc(32);
  // Sixty a second, with gaps that a screen of glass would need, and a card without one does not look at.
  const [htotal, vtotal] = [width + 160, height + 30];
  info.writeUInt16LE(width, 4);
  info.writeUInt16LE(height, 6);
  info.writeUInt32LE(htotal * vtotal * 60, 8);
  for (const [index, value] of [width + 48, width + 80, htotal, 0, height + 3, height + 8, vtotal].entries())
    info.writeUInt16LE(value, 12 + 2 * index);
  info.writeUInt16LE(name.length, 26);
  const made = await x.ask(CREATE_MODE, Buffer.concat([words(window), info, padded(name)]));
  return { id: field(made, 8, 4), name: name.toString(), width, height };
}

function setScreen(x: Client, window: number, { width, height }: ScreenSize): void {
  const [wide, high] = [width, height].map((side) => Math.round((side * 25.4) / DPI)) as [number, number];
  x.tell(SET_SCREEN_SIZE, words(window, width | (height << 16), wide, high));
}

async function setCrtc(x: Client, output: Output, configured: number, mode: number): Promise<void> {
  const set = await x.ask(SET_CRTC, words(output.crtc, 0, configured, 0, mode, NO_ROTATION, output.id));
  if (set[1] !== 0) throw new DisplayError('it refuses that size');
}

function request(major: number, minor: number, fields: Uint8Array): Buffer {
  return Buffer.concat([words(major | (minor << 8) | ((1 + fields.length / 4) << 16)), fields]);
}

/** What it answers; events are passed over. @throws {DisplayError} for an error */
async function reply(peer: DisplayPeer): Promise<Buffer> {
  for (;;) {
    const head = await peer.read(32);
    if (head[0] === 0) throw new DisplayError(`it answers with the error ${head[1]} of X11`);
    if (head[0] === 1) return Buffer.concat([head, await peer.read(4 * head.readUInt32LE(4))]);
  }
}

function list(bytes: Buffer, at: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => field(bytes, at + 4 * index, 4));
}

function field(bytes: Buffer, at: number, size: number): number {
  if (at + size > bytes.length) throw new DisplayError('what it answers is cut off');
  return bytes.readUIntLE(at, size);
}

function same(one: ScreenSize, other: ScreenSize): boolean {
  return one.width === other.width && one.height === other.height;
}
