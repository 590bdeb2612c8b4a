/** The grammar of --publish. */
import { isIP, isIPv6 } from 'node:net';
import { argumentError, quote } from '../errors.js';
import type { Publish } from '../types.js';
import { parseWhole } from './number.js';

/** Where only this host's own users reach it. */
export const LOOPBACK = '127.0.0.1';

export const MOST_PORT = 65_535;

/**
 * Reads `[[ADDRESS:][HOST]:]GUEST[/udp]`. An IPv6 address is in brackets. Without HOST, or with 0, a free port is taken.
 * @throws {SandboxError} `publish-invalid`, `number-invalid`
 */
export function parsePublish(text: string): Publish {
  const [, , bracketed, plain, host, guest, protocol = 'tcp'] =
    /^(?:((?:\[([^\]]*)\]|([^:[\]]*)):)?([^:/[\]]*):)?([^:/[\]]+)(?:\/(tcp|udp))?$/.exec(text) ?? [];
  const address = bracketed ?? plain ?? LOOPBACK;
  if (guest === undefined || isIP(address) !== (bracketed === undefined ? 4 : 6)) {
    throw argumentError(
      'publish-invalid',
      `--publish cannot be ${quote(text)}`,
      'write [[ADDRESS:][HOST]:]GUEST[/udp]: two ports such as 8080:80, and an IP address of this host before them',
    );
  }
  return {
    protocol: protocol === 'udp' ? 'udp' : 'tcp',
    address,
    hostPort: host === undefined || host === '' ? 0 : parseWhole(host, '--publish', 0, MOST_PORT),
    guestPort: parseWhole(guest, '--publish', 1, MOST_PORT),
  };
}

/** The inverse of {@link parsePublish}. */
export function publishText({ protocol, address, hostPort, guestPort }: Publish): string {
  const suffix = protocol === 'udp' ? '/udp' : '';
  return `${isIPv6(address) ? `[${address}]` : address}:${hostPort}:${guestPort}${suffix}`;
}
