/** The grammar of --publish. */
import { isIP, isIPv6 } from 'node:net';
import { argumentError, quote } from '../errors.js';
import type { Publish } from '../types.js';
import { parseWhole } from './number.js';

/** Where only this host's own users reach it. */
export const LOOPBACK = '127.0.0.1';

export const MOST_PORT = 65_535;

/**
 * Reads `[[ADDRESS:][HOST]:]GUEST`. An IPv6 address is in brackets. Without HOST, or with 0, a free port is taken.
 * @throws {SandboxError} `publish-invalid`, `publish-udp`, `number-invalid`
 */
export function parsePublish(text: string): Publish {
  const protocol = text.includes('/') ? text.slice(text.indexOf('/') + 1) : 'tcp';
  if (protocol === 'udp') {
    throw argumentError(
      'publish-udp',
      `--publish cannot be ${quote(text)}: only TCP ports are published`,
      'publish a TCP port, or have the sandbox join a network of libvirt: --network source=NETWORK',
    );
  }
  const [, , bracketed, plain, host, guest] =
    /^(?:((?:\[([^\]]*)\]|([^:[\]]*)):)?([^:/[\]]*):)?([^:/[\]]+)$/.exec(text.replace(/\/tcp$/, '')) ?? [];
  const address = bracketed ?? plain ?? LOOPBACK;
  if (guest === undefined || isIP(address) !== (bracketed === undefined ? 4 : 6)) {
    throw argumentError(
      'publish-invalid',
      `--publish cannot be ${quote(text)}`,
      'write [[ADDRESS:][HOST]:]GUEST: two TCP ports such as 8080:80, and an IP address of this host before them',
    );
  }
  return {
    address,
    hostPort: host === undefined || host === '' ? 0 : parseWhole(host, '--publish', 0, MOST_PORT),
    guestPort: parseWhole(guest, '--publish', 1, MOST_PORT),
  };
}

/** The inverse of {@link parsePublish}. */
export function publishText({ address, hostPort, guestPort }: Publish): string {
  return `${isIPv6(address) ? `[${address}]` : address}:${hostPort}:${guestPort}`;
}
