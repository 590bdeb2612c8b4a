/** Sends a file descriptor over a connected Unix socket: SCM_RIGHTS of unix(7). Node.js cannot. */
import type { Socket } from 'node:net';

/** From <sys/socket.h>. */
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;

/** A header of cmsg(3) on a machine of 64 bits: a length of 64 bits, level and type of 32; then the descriptor. */
const HEADER_BYTES = 16;
const DESCRIPTOR_BYTES = 4;
/** CMSG_SPACE: rounded up to whole words. */
const CONTROL_BYTES = 24;

type SendMessage = (fd: number, message: object, flags: number) => number | bigint;

interface Libc {
  readonly send: SendMessage;
  readonly errno: () => number;
}

let libc: Promise<Libc> | undefined;

async function load(): Promise<Libc> {
  const { default: koffi } = await import('koffi');
  koffi.struct('VirtSandboxPart', { base: 'void *', length: 'size_t' });
  koffi.struct('VirtSandboxMessage', {
    name: 'void *',
    nameLength: 'uint32_t',
    parts: 'VirtSandboxPart *',
    partCount: 'size_t',
    control: 'void *',
    controlLength: 'size_t',
    flags: 'int',
  });
  const send = koffi.load('libc.so.6').func('intptr_t sendmsg(int fd, VirtSandboxMessage *message, int flags)');
  return { send: send as SendMessage, errno: () => koffi.errno() };
}

/** Loads what {@link sendDescriptor} needs, so that it can send at once. */
export async function descriptorSender(): Promise<(socket: Socket, text: string, descriptor: number) => void> {
  libc ??= load();
  const { send, errno } = await libc;
  return (socket, text, descriptor) => sendDescriptor({ send, errno }, socket, text, descriptor);
}

/**
 * @param text goes with it, all at once: the socket has room for a short one when nothing waits to be written to it
 * @throws {Error} if the kernel refuses it
 */
function sendDescriptor({ send, errno }: Libc, socket: Socket, text: string, descriptor: number): void {
  const bytes = Buffer.from(text);
  const control = Buffer.alloc(CONTROL_BYTES);
  control.writeBigUInt64LE(BigInt(HEADER_BYTES + DESCRIPTOR_BYTES), 0);
  control.writeInt32LE(SOL_SOCKET, 8);
  control.writeInt32LE(SCM_RIGHTS, 12);
  control.writeInt32LE(descriptor, HEADER_BYTES);
  const message = {
    ...{ name: null, nameLength: 0, parts: [{ base: bytes, length: bytes.length }], partCount: 1 },
    ...{ control, controlLength: control.length, flags: 0 },
  };
  const sent = Number(send(descriptorOf(socket), message, MSG_NOSIGNAL | MSG_DONTWAIT));
  if (sent !== bytes.length) throw new Error(`a descriptor cannot be sent to QEMU: errno ${errno()}`);
}

/** Node.js has no public way to a socket's descriptor. */
export function descriptorOf(socket: Socket): number {
  return (socket as unknown as { readonly _handle: { readonly fd: number } })._handle.fd;
}
