/**
 * Messages of PulseAudio's native protocol, which PipeWire serves too. A packet has a head and a body: values with a tag
 * each, or samples.
 *
 * https://www.freedesktop.org/wiki/Software/PulseAudio/Documentation/Developer/Clients/
 */
import { CHANNELS, RATE } from './format.js';

export const Command = {
  error: 0,
  reply: 2,
  createPlaybackStream: 3,
  auth: 8,
  setClientName: 9,
  drainPlaybackStream: 12,
  request: 61,
  playbackStreamKilled: 64,
} as const;

/** Every server that is still in use has it, and what comes later is about nothing that this has. */
export const PROTOCOL_VERSION = 15;

/** Length, channel, two halves of an offset, flags. */
export const HEAD_BYTES = 20;

/** The channel of commands. Others are of a stream. */
export const COMMANDS = 0xffffffff;

/** Any, or whatever the server thinks best. */
export const UNSET = 0xffffffff;

/** A cookie proves who one is to a server of somebody else. Ours knows by the socket. */
const COOKIE_BYTES = 256;

const SIGNED_16_BITS_LITTLE_ENDIAN = 3;
const FRONT_LEFT = 1;
const FULL_VOLUME = 0x10000;

export function packet(channel: number, body: Buffer): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt32BE(body.length, 0);
  head.writeUInt32BE(channel, 4);
  return Buffer.concat([head, body]);
}

export function authentication(tag: number): Buffer {
  const cookie = Buffer.concat([Buffer.from('x'), uint32(COOKIE_BYTES), Buffer.alloc(COOKIE_BYTES)]);
  return command(Command.auth, tag, number(PROTOCOL_VERSION), cookie);
}

export function clientName(tag: number, name: string): Buffer {
  return command(Command.setClientName, tag, properties({ 'application.name': name }));
}

export interface StreamWish {
  readonly name: string;
  /** Bytes that the server keeps at most, that it wants to have, and that it waits for before it plays. */
  readonly most: number;
  readonly target: number;
  readonly first: number;
}

/** A stream to the sink that the server chooses. The user's volume of it stays. */
export function playbackStream(tag: number, { name, most, target, first }: StreamWish): Buffer {
  const noneOf = (count: number) => Buffer.alloc(count, '0');
  return command(
    Command.createPlaybackStream,
    tag,
    Buffer.concat([Buffer.from('a'), Buffer.of(SIGNED_16_BITS_LITTLE_ENDIAN, CHANNELS), uint32(RATE)]),
    Buffer.concat([Buffer.from('m'), Buffer.of(CHANNELS, ...positions())]),
    // The sink: no index, no name.
    number(UNSET),
    Buffer.from('N'),
    number(most),
    noneOf(1),
    number(target),
    number(first),
    number(UNSET),
    // It goes together with no other stream.
    number(0),
    Buffer.concat([Buffer.from('v'), Buffer.of(CHANNELS), ...positions().map(() => uint32(FULL_VOLUME))]),
    // Seven ways to take another format, which are not needed.
    noneOf(7),
    // Muted; and latency that the whole server adjusts to.
    noneOf(2),
    properties({ 'media.name': name, 'media.role': 'production' }),
    // Whether the volume above is meant, and four more.
    noneOf(5),
  );
}

export function drain(tag: number, stream: number): Buffer {
  return command(Command.drainPlaybackStream, tag, number(stream));
}

/** What a message says, up to the first value that is no number. */
export function numbersOf(body: Buffer): number[] {
  const found: number[] = [];
  for (let at = 0; at + 5 <= body.length && body[at] === 'L'.charCodeAt(0); at += 5)
    found.push(body.readUInt32BE(at + 1));
  return found;
}

function positions(): number[] {
  return Array.from({ length: CHANNELS }, (_, channel) => FRONT_LEFT + channel);
}

function command(code: number, tag: number, ...values: readonly Buffer[]): Buffer {
  return packet(COMMANDS, Buffer.concat([number(code), number(tag), ...values]));
}

function number(value: number): Buffer {
  return Buffer.concat([Buffer.from('L'), uint32(value)]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function properties(values: Readonly<Record<string, string>>): Buffer {
  const each = Object.entries(values).flatMap(([key, value]) => {
    const bytes = Buffer.from(`${value}\0`);
    return [Buffer.from(`t${key}\0`), number(bytes.length), Buffer.from('x'), uint32(bytes.length), bytes];
  });
  return Buffer.concat([Buffer.from('P'), ...each, Buffer.from('N')]);
}
