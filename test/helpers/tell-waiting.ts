/**
 * Loaded into `virt-sandbox-ctl wait` by --import. When it has written its request, its first thread is called `waits`.
 * From outside nothing else tells a program whose request is on its way from one that is still connecting.
 */
import { Socket } from 'node:net';

const { write } = Socket.prototype;
Socket.prototype.write = function (this: Socket, ...words: unknown[]): boolean {
  // Whatever the socket takes is with the other side when this returns.
  const result = Reflect.apply(write, this, words) as boolean;
  const [bytes] = words;
  if (bytes instanceof Uint8Array && Buffer.from(bytes).includes('"ask":"wait"')) process.title = 'waits';
  return result;
};
