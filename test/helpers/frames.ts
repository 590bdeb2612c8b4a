/** Ethernet frames that no kernel would send, and a program that sends them. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

/** send-frames INTERFACE FRAME…: each frame is in hexadecimal. */
const SENDER = `
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

int main(int argc, char *argv[])
{
	int fd = socket(AF_PACKET, SOCK_RAW, 0);
	struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(argv[1])};

	for (int i = 2; i < argc; i++) {
		unsigned char frame[2048];
		size_t length = strlen(argv[i]) / 2;

		for (size_t at = 0; at < length; at++)
			if (sscanf(argv[i] + 2 * at, "%2hhx", frame + at) != 1)
				return 2;
		if (sendto(fd, frame, length, 0, (struct sockaddr *)&to, sizeof(to)) < 0) {
			perror("sendto");
			return 1;
		}
	}
	return 0;
}
`;

/** Builds the program in a directory, and returns its path. */
export function buildSender(directory: string): string {
  const path = join(directory, 'send-frames');
  execFileSync('gcc', ['-static', '-x', 'c', '-o', path, '-'], {
    input: SENDER,
    stdio: ['pipe', 'inherit', 'inherit'],
  });
  return path;
}

const UDP = 17;
const TCP = 6;
const FROM_MAC = [0x52, 0x54, 0x00, 0x77, 0x77, 0x77];
const FROM_PORT = 40_000;

/** What is to be sent, and from which address. */
export interface Packet {
  readonly from: string;
  readonly to: string;
  readonly port: number;
  /** The text of a datagram; undefined: the packet opens a TCP connection. */
  readonly text?: string;
  /** Goes before the type of the frame: a VLAN tag. */
  readonly tag?: readonly number[];
  /** Fragment field of IPv4. */
  readonly fragment?: number;
  readonly toMac?: readonly number[];
}

/** A frame in hexadecimal. */
export function frame(packet: Packet): string {
  const isSix = packet.to.includes(':');
  const header = isSix ? ipv6 : ipv4;
  const type = isSix ? [0x86, 0xdd] : [0x08, 0x00];
  const toMac = packet.toMac ?? [0x9a, 0x55, 0x9a, 0x55, 0x9a, 0x55];
  return Buffer.from([...toMac, ...FROM_MAC, ...(packet.tag ?? []), ...type, ...header(packet)]).toString('hex');
}

function ipv4(packet: Packet): number[] {
  const addresses = [...bytes4(packet.from), ...bytes4(packet.to)];
  const { protocol, segment } = segmentOf(packet, addresses);
  const length = 20 + segment.length;
  const before = [0x45, 0, ...two(length), 0, 1, ...two(packet.fragment ?? 0), 64, protocol];
  return [...before, ...two(checksum([...before, 0, 0, ...addresses])), ...addresses, ...segment];
}

function ipv6(packet: Packet): number[] {
  const addresses = [...bytes6(packet.from), ...bytes6(packet.to)];
  const { protocol, segment } = segmentOf(packet, addresses);
  return [0x60, 0, 0, 0, ...two(segment.length), protocol, 64, ...addresses, ...segment];
}

function segmentOf({ port, text }: Packet, addresses: readonly number[]): { protocol: number; segment: number[] } {
  const protocol = text === undefined ? TCP : UDP;
  const payload = [...Buffer.from(text ?? '')];
  const ports = [...two(FROM_PORT + (text?.length ?? port % 100)), ...two(port)];
  // A SYN with a window of 8192, or a datagram.
  const rest = text === undefined ? [0, 0, 0, 9, 0, 0, 0, 0, 0x50, 2, 0x20, 0] : two(8 + payload.length);
  const length = ports.length + rest.length + 2 + (text === undefined ? 2 : 0) + payload.length;
  const tail = text === undefined ? [0, 0] : payload;
  const pseudo = [...addresses, 0, protocol, ...two(length)];
  const sum = checksum([...pseudo, ...ports, ...rest, 0, 0, ...tail]);
  return { protocol, segment: [...ports, ...rest, ...two(sum), ...tail] };
}

/** RFC 1071. */
function checksum(bytes: readonly number[]): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

function two(value: number): number[] {
  return [(value >> 8) & 255, value & 255];
}

function bytes4(address: string): number[] {
  return address.split('.').map(Number);
}

/** An IPv6 address, which may end in an IPv4 address. */
function bytes6(address: string): number[] {
  const [, head = '', last = ''] = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(address) ?? [undefined, address, ''];
  const tail = last === '' ? [] : bytes4(last);
  const [left = '', right] = (tail.length > 0 ? head.replace(/([^:]):$/, '$1') : head).split('::');
  const groups = (text: string) =>
    text
      .split(':')
      .filter((group) => group !== '')
      .flatMap((group) => two(Number.parseInt(group, 16)));
  const [before, after] = [groups(left), [...groups(right ?? ''), ...tail]];
  return [...before, ...Array<number>(16 - before.length - after.length).fill(0), ...after];
}
