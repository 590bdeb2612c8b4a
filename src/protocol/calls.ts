/** The calls that the guest has not answered. */
import { ProtocolError } from './fields.js';
import type { GuestSpawn, Operation } from './operations.js';
import type { PacketHeader } from './packets.js';
import { SpawnFlag } from './wire.js';

/** A call without a reply yet. */
export interface PendingCall {
  /** @throws {ProtocolError} for a reply that makes no sense: {@link reject} is called then */
  answer(status: number, payload: Buffer): void;
  reject(error: unknown): void;
}

export class Calls {
  readonly #pending = new Map<number, PendingCall>();
  /** Serial number of the last call. */
  #serial = 0;

  /** @returns its packet; undefined if it cannot be encoded, of which it hears */
  begin(encode: (serial: number) => Buffer, call: PendingCall): Buffer | undefined {
    this.#serial = (this.#serial + 1) >>> 0;
    try {
      const packet = encode(this.#serial);
      this.#pending.set(this.#serial, call);
      return packet;
    } catch (error) {
      call.reject(error);
      return undefined;
    }
  }

  /** @throws {ProtocolError} for a reply to no call, and for one that makes no sense */
  answer(header: PacketHeader, payload: Buffer): void {
    const call = this.#pending.get(header.serial);
    if (!call) throw new ProtocolError(`the guest answered call ${header.serial}, which was not made`);
    // Decoding throws for a malformed reply. The call is forgotten after that, so that the failure reaches its caller.
    call.answer(header.status, payload);
    this.#pending.delete(header.serial);
  }

  reject(error: Error): void {
    for (const call of this.#pending.values()) call.reject(error);
    this.#pending.clear();
  }
}

export function startsApplication(operation: Operation): boolean {
  if (operation.op === 'configure') return true;
  return operation.op === 'spawn' && (operation.flags & SpawnFlag.APPLICATION) !== 0;
}

/** The number of the process that a call has started. */
export function startedBy(value: unknown): number {
  return typeof value === 'number' ? value : (value as GuestSpawn).process;
}
