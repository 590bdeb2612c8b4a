/** The guest's side of the handshake, which a holder speaks to its hosts: docs/protocol.md. */
import { encodeReady } from '../protocol/ready.js';
import { HANDSHAKE_SYNC, HANDSHAKE_WAIT, PROTOCOL_VERSION } from '../protocol/wire.js';

export class Greeting {
  #state: 'awaited' | 'begun' | 'done' = 'awaited';

  get isDone(): boolean {
    return this.#state === 'done';
  }

  /**
   * Takes what a host has sent.
   * @param answer writes to the host
   * @returns what comes behind the handshake
   */
  take(bytes: Buffer, answer: (bytes: Uint8Array) => void): Buffer {
    for (const [at, byte] of bytes.entries()) {
      if (byte === HANDSHAKE_WAIT && this.#state === 'awaited') {
        this.#state = 'begun';
        answer(Uint8Array.of(HANDSHAKE_SYNC));
      } else if (byte === HANDSHAKE_SYNC && this.#state === 'begun') {
        this.#state = 'done';
        return bytes.subarray(at + 1);
      }
    }
    return Buffer.alloc(0);
  }
}

/** READY, behind the handshake. Of the guest's start a host hears nothing. */
export function readyPayload(kernelRelease: string): Uint8Array {
  return encodeReady({ protocol: PROTOCOL_VERSION, kernelRelease, initStarted: 0n, initReady: 0n, modules: [] });
}
