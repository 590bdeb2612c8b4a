/**
 * Loaded into `virt-sandbox-service clone --live` by --import. When it is to have the source stand still, whose file
 * system is frozen by then, its first thread is called `frozen`, and nothing more is sent.
 */
import { Socket } from 'node:net';

const { write } = Socket.prototype;
let isFrozen = false;
Socket.prototype.write = function (this: Socket, ...words: unknown[]): boolean {
  const [bytes] = words;
  isFrozen ||= bytes instanceof Uint8Array && Buffer.from(bytes).includes('"ask":"pause"');
  if (!isFrozen) return Reflect.apply(write, this, words) as boolean;
  process.title = 'frozen';
  return true;
};
