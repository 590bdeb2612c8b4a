/** Packets of a guest, and what makes it send them. */
import type { SpawnOperation } from '../../../src/protocol/operations.js';
import { encodePacket } from '../../../src/protocol/packets.js';
import { MessageType, Proc, SpawnFlag, Status } from '../../../src/protocol/wire.js';

export function numbers(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  for (const [at, value] of values.entries()) bytes.writeUInt32BE(value, 4 * at);
  return bytes;
}

export function spawnOperation({ isApplication = false } = {}): SpawnOperation {
  return {
    op: 'spawn',
    argv: ['true'],
    environment: [],
    cwd: '',
    uid: 0,
    gid: 0,
    groups: [],
    capabilities: 0n,
    flags: isApplication ? SpawnFlag.APPLICATION : 0,
    rows: 0,
    columns: 0,
    timeLimit: 0,
  };
}

/** The reply to the call of that serial: it has started a process. */
export function spawned(serial: number, process: number): Buffer {
  return encodePacket(Proc.SPAWN, MessageType.REPLY, Status.OK, serial, numbers(0, process, 1000 + process));
}

export function stream(proc: number, process: number, data: Uint8Array): Buffer {
  return encodePacket(proc, MessageType.DATA, 0, process, data);
}

export function exit(process: number, status = 0, flags = 0): Buffer {
  return encodePacket(Proc.EXIT, MessageType.MESSAGE, 0, process, numbers(status, flags, 0, 0));
}

/** The guest has taken so many bytes of a process's stdin. */
export function stdinTaken(process: number, bytes: number): Buffer {
  return encodePacket(Proc.STDIN, MessageType.REPLY, 0, process, numbers(bytes));
}
