/** What the guest sends, as packets: framing in any pieces, and every decoder of a payload. */
import assert from 'node:assert/strict';
import { decodeFailure, decodeResult } from '../../../src/protocol/codec.js';
import { decodeExit } from '../../../src/protocol/exit.js';
import { ProtocolError } from '../../../src/protocol/fields.js';
import type { Operation } from '../../../src/protocol/operations.js';
import { encodePacket, type PacketHeader, PacketParser } from '../../../src/protocol/packets.js';
import { decodeReady, encodeReady } from '../../../src/protocol/ready.js';
import { MessageType, Proc } from '../../../src/protocol/wire.js';
import { valueOrRefusal } from './support/expect.js';
import type { Target } from './support/target.js';

interface Seen {
  readonly packets: { readonly header: PacketHeader; readonly payload: Buffer }[];
  /** Output by stream, and where each stream ended. */
  readonly output: Map<string, string>;
  refusal: string | undefined;
}

/** Parses in pieces of a size. */
function parse(stream: Buffer, size: number): Seen {
  const seen: Seen = { packets: [], output: new Map(), refusal: undefined };
  const add = (proc: number, process: number, text: string) => {
    const stream = `${proc} ${process}`;
    seen.output.set(stream, (seen.output.get(stream) ?? '') + text);
  };
  const parser = new PacketParser({
    stream: (proc, process, bytes) => add(proc, process, bytes.toString('latin1')),
    streamEnd: (proc, process) => add(proc, process, ' end '),
    packet: (header, payload) => seen.packets.push({ header, payload }),
  });
  try {
    for (let at = 0; at < stream.length; at += size) parser.push(stream.subarray(at, at + size));
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    seen.refusal = error.message;
  }
  return seen;
}

/** As a text, since texts are compared faster than objects. */
function textOf({ packets, output, refusal }: Seen): string {
  const parts = packets.map(({ header, payload }) => `${Object.values(header)}:${payload.toString('latin1')}`);
  return JSON.stringify([parts, [...output], refusal]);
}

/** Every operation whose reply has a value, and one whose reply has none. */
const OPERATIONS: readonly Operation[] = [
  { op: 'run', argv: [], environment: [], stdin: new Uint8Array(), timeout: 1 },
  { op: 'readLink', path: '/a' },
  { op: 'readFile', path: '/a', limit: 1 },
  { op: 'listDir', path: '/a' },
  { op: 'stat', path: '/a', follow: true },
  { op: 'configure', sandbox: '{}' },
  { op: 'signal', process: 1, signal: 15 },
];

function decode({ header, payload }: Seen['packets'][number]): void {
  if (header.type === MessageType.REPLY) {
    for (const operation of OPERATIONS) {
      valueOrRefusal(() => decodeResult(operation, payload), ProtocolError);
      valueOrRefusal(() => decodeFailure(operation, header.status, payload), ProtocolError);
    }
  } else if (header.proc === Proc.EXIT) {
    valueOrRefusal(() => decodeExit(payload), ProtocolError);
  } else {
    const ready = valueOrRefusal(() => decodeReady(payload), ProtocolError);
    // A text with a NUL byte is read, and has no encoding.
    const encoded = ready && valueOrRefusal(() => encodeReady(ready), ProtocolError);
    if (encoded !== undefined) assert.deepEqual(decodeReady(encoded), ready);
  }
}

export const target: Target = {
  kind: 'sync',
  mostBytes: 4096,
  quickRuns: 20_000,
  read(data) {
    const size = data[0] ?? 0;
    const stream = data.subarray(1);
    const whole = parse(stream, Math.max(stream.length, 1));
    // Nothing of an input this short differs by its pieces.
    if (size + 1 < stream.length) assert.equal(textOf(parse(stream, size + 1)), textOf(whole));
    for (const packet of whole.packets) {
      const { proc, type, status, serial } = packet.header;
      const encoded = encodePacket(proc, type, status, serial, packet.payload);
      assert.ok(stream.includes(encoded), 'a packet does not encode to its own bytes');
      decode(packet);
    }
  },
};
