/** IP addresses and routes in `--network`. */
import { BlockList, isIP, SocketAddress } from 'node:net';
import { argumentError, quote } from '../errors.js';
import type { NetworkAddress, NetworkRoute } from '../types.js';
import { splitOnce } from './text.js';

/**
 * Reads `IP[/PREFIX][%BROADCAST]`. The default prefix is 24 for IPv4 and 64 for IPv6.
 * @throws SandboxError `network-address-invalid`, `network-prefix-invalid`, `network-broadcast-invalid`
 */
export function readAddress(text: string, what: string): NetworkAddress {
  const [rest, broadcast] = splitOnce(text, '%') ?? [text, undefined];
  const { ip, prefix, family } = readPrefixed(rest, what);
  const kind = groupOf(ip);
  if (kind !== undefined) {
    throw argumentError(
      'network-address-invalid',
      `${what} has the address ${quote(ip)}, which is ${kind} and not that of one interface`,
      'give an address of the network that the interface joins',
    );
  }
  if (broadcast !== undefined && (family === 6 || isIP(broadcast) !== 4)) {
    throw argumentError(
      'network-broadcast-invalid',
      `${what} has the broadcast address ${quote(broadcast)}, which cannot go with ${ip}`,
      'give an IPv4 broadcast address to an IPv4 address only',
    );
  }
  return { primary: ip, prefix, broadcast };
}

/**
 * Reads `NETWORK[/PREFIX]%GATEWAY`. The default prefix is that of {@link readAddress}.
 * @throws SandboxError `network-address-invalid`, `network-prefix-invalid`, `network-gateway-missing`,
 *   `network-gateway-invalid`
 */
export function readRoute(text: string, what: string): NetworkRoute {
  const [rest, gateway] = splitOnce(text, '%') ?? [text, ''];
  if (gateway === '') {
    throw argumentError(
      'network-gateway-missing',
      `${what} has the route ${quote(text)} without a gateway`,
      'write route=NETWORK[/PREFIX]%GATEWAY',
    );
  }
  const { ip, prefix, family } = readPrefixed(rest, what);
  if (isIP(gateway) !== family) {
    throw argumentError(
      'network-gateway-invalid',
      `${what} has the gateway ${quote(gateway)}, which is not an IPv${family} address`,
      `give an IPv${family} address, as ${ip} is one`,
    );
  }
  const kind = groupOf(gateway);
  if (kind !== undefined) {
    throw argumentError(
      'network-gateway-invalid',
      `${what} has the gateway ${quote(gateway)}, which is ${kind} and not that of one interface`,
      'give the address of a host of the network',
    );
  }
  return { target: ip, prefix, gateway: canonical(gateway, family) };
}

function readPrefixed(text: string, what: string): { ip: string; prefix: number; family: 4 | 6 } {
  const [ip, prefix] = splitOnce(text, '/') ?? [text, undefined];
  const family = isIP(ip);
  if (family !== 4 && family !== 6) {
    throw argumentError(
      'network-address-invalid',
      `${what} has ${quote(ip)} where an IP address belongs`,
      'give an IPv4 or IPv6 address, not a host name',
    );
  }
  return { ip: canonical(ip, family), prefix: readPrefix(prefix, family, what), family };
}

function readPrefix(text: string | undefined, family: 4 | 6, what: string): number {
  if (text === undefined) return family === 4 ? 24 : 64;
  const largest = family === 4 ? 32 : 128;
  if (/^[0-9]{1,3}$/.test(text) && Number(text) <= largest) return Number(text);
  throw argumentError(
    'network-prefix-invalid',
    `${what} has the prefix ${quote(text)}`,
    `give a whole number from 0 to ${largest}`,
  );
}

/** What an address stands for, if it is not an address of one interface. */
function groupOf(ip: string): string | undefined {
  known ??= groups();
  return Object.entries(known).find(([, list]) => list.check(ip, isIP(ip) === 6 ? 'ipv6' : 'ipv4'))?.[0];
}

let known: Readonly<Record<string, BlockList>> | undefined;

/** Made only for the first address: it takes milliseconds, and most sandboxes have no address. */
function groups(): Readonly<Record<string, BlockList>> {
  return {
    unspecified: blocks(['0.0.0.0', 32], ['::', 128]),
    'a broadcast': blocks(['255.255.255.255', 32]),
    'a multicast group': blocks(['224.0.0.0', 4], ['ff00::', 8]),
  };
}

function blocks(...nets: readonly (readonly [string, number])[]): BlockList {
  const list = new BlockList();
  for (const [net, prefix] of nets) list.addSubnet(net, prefix, isIP(net) === 6 ? 'ipv6' : 'ipv4');
  return list;
}

/** The canonical spelling of an address, for sandbox.cfg: an IPv6 address has many spellings. */
function canonical(ip: string, family: 4 | 6): string {
  return family === 4 ? ip : new SocketAddress({ address: ip, family: 'ipv6' }).address;
}
