/** A socket that receives datagrams, as systemd's for its services. */
import { endianness, constants as os } from 'node:os';
import koffi from 'koffi';

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const MSG_DONTWAIT = 0x40;
const MOST_BYTES = 4096;

const library = koffi.load('libc.so.6');
const socket = library.func('int socket(int domain, int type, int protocol)');
const bind = library.func('int bind(int fd, const void *address, uint32_t length)');
const recv = library.func('long recv(int fd, _Out_ uint8_t *data, size_t size, int flags)');
const close = library.func('int close(int fd)');

export class DatagramSocket {
  readonly #fd: number;

  /** @param address a path, or `@` and an abstract name */
  constructor(address: string) {
    const family = endianness() === 'LE' ? Buffer.from([AF_UNIX, 0]) : Buffer.from([0, AF_UNIX]);
    const name = Buffer.concat([family, Buffer.from(address.replace(/^@/, '\0'))]);
    this.#fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    if (this.#fd < 0 || bind(this.#fd, name, name.length) !== 0) throw new Error(`bind: errno ${koffi.errno()}`);
  }

  /** The datagrams that wait. */
  received(): string[] {
    const all: string[] = [];
    for (;;) {
      const data = Buffer.alloc(MOST_BYTES);
      const size: number = recv(this.#fd, data, data.length, MSG_DONTWAIT);
      if (size < 0 && koffi.errno() === os.errno.EAGAIN) return all;
      if (size < 0) throw new Error(`recv: errno ${koffi.errno()}`);
      all.push(data.toString('utf8', 0, size));
    }
  }

  close(): void {
    close(this.#fd);
  }
}
