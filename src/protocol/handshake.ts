/** The host's side of the handshake. */
import type { Duplex } from 'node:stream';
import { mark } from '../util/marks.js';
import { HANDSHAKE_SYNC, HANDSHAKE_WAIT } from './wire.js';

/** How often the host greets until the guest answers, in milliseconds. */
const HANDSHAKE_INTERVAL = 50;

/**
 * Greets the guest until it answers.
 * @param receive gets all bytes after the handshake
 * @returns a function that gives up
 */
export function greet(transport: Duplex, receive: (bytes: Buffer) => void): () => void {
  const say = () => transport.write(Uint8Array.of(HANDSHAKE_WAIT));
  const timer = setInterval(say, HANDSHAKE_INTERVAL);
  const awaitSync = (chunk: Buffer) => {
    const at = chunk.indexOf(HANDSHAKE_SYNC);
    if (at < 0) return;
    clearInterval(timer);
    mark('channel.sync');
    transport.off('data', awaitSync);
    transport.write(Uint8Array.of(HANDSHAKE_SYNC));
    transport.on('data', receive);
    if (at + 1 < chunk.length) receive(chunk.subarray(at + 1));
  };
  transport.on('data', awaitSync);
  say();
  return () => clearInterval(timer);
}
