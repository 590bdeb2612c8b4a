/**
 * Sets up the interfaces of a sandbox: addresses, routes, DHCP. It is the same for a machine and a container, and uses
 * no program of the root.
 */
import { type Guest, type GuestRun, type Operation, OperationError } from '../../src/protocol/operations.js';
import { attempt } from './attempt.js';
import type { GuestConfig, GuestInterface, GuestNetwork, NameService } from './config.js';
import { type Lease, parseLease } from './dhcp-lease.js';
import { NetworkError } from './network-errors.js';

/**
 * Time for the DHCP client beyond its own limit, in milliseconds: a busy machine is slow to start and end a process.
 */
const GRACE_MS = 10_000;

/** Exit statuses of the DHCP client (init/dhcp/main.c). */
const NOBODY_ANSWERED = 2;
const REFUSED = 3;

const EXISTS = 17;

type RouteOperation = Extract<Operation, { op: 'route' }>;

/**
 * Sets up every interface in the order of the config. It needs /sys, but no root.
 * @returns the name servers for the sandbox: those of the leases, then those of the config
 * @throws {NetworkError} `interface-missing`, `dhcp-no-answer`, `dhcp-refused`, `dhcp-failed`
 * @throws {OperationError} if the kernel refuses an address or a route
 */
export async function setUpNetwork(guest: Guest, config: GuestConfig, network: GuestNetwork): Promise<NameService> {
  const links = await linksByMac(guest);
  const leases: Lease[] = [];
  for (const [index, wanted] of network.interfaces.entries()) {
    const link = links.get(wanted.mac.toLowerCase());
    if (link === undefined) throw missingError(index, wanted.mac, [...links.keys()]);
    await guest.call({ op: 'linkUp', link });
    if (!wanted.dhcp) {
      await applyStatic(guest, link, wanted, index > 0);
      continue;
    }
    const lease = await askForLease(guest, link, index, config.hostname, network);
    await applyLease(guest, link, lease);
    leases.push(lease);
  }
  const unknown = network.interfaces.some(({ dhcp }) => !dhcp);
  return {
    servers: unique([...leases.flatMap(({ nameServers }) => nameServers), ...(unknown ? network.names.servers : [])]),
    search: unique([
      ...leases.flatMap(({ domain }) => (domain === undefined ? [] : [domain])),
      ...(unknown ? network.names.search : []),
    ]),
  };
}

/** The guest's interfaces by hardware address. Their names depend on the kernel and on other devices. */
async function linksByMac(guest: Guest): Promise<Map<string, string>> {
  const { value: names } = await guest.call({ op: 'listDir', path: '/sys/class/net' });
  const found = await Promise.all(
    names
      .filter((name) => name !== 'lo')
      .map(async (name): Promise<[string, string][]> => {
        // An entry that is no interface (`bonding_masters`) has no such file.
        const mac = await attempt(guest, { op: 'readFile', path: `/sys/class/net/${name}/address`, limit: 256 });
        return mac ? [[textOf(mac).trim().toLowerCase(), name]] : [];
      }),
  );
  return new Map(found.flat());
}

async function applyStatic(
  guest: Guest,
  link: string,
  { addresses, routes }: GuestInterface,
  isLater: boolean,
): Promise<void> {
  await Promise.all([
    ...addresses.map(({ primary, prefix, broadcast }) =>
      guest.call({
        op: 'address',
        link,
        address: primary,
        prefix,
        broadcast: broadcast ?? usualBroadcast(primary, prefix),
      }),
    ),
    ...routes.map(({ target, prefix, gateway }) =>
      addRoute(guest, { op: 'route', link, target, prefix, gateway }, isLater),
    ),
  ]);
}

/**
 * Adds a route. The kernel keeps one route per target, so the interface that is named first wins.
 * @param yields ignore that there is a route already: true for later interfaces and for what a DHCP server says twice.
 *   On the first interface two routes to one target are a mistake of the config.
 */
async function addRoute(guest: Guest, route: RouteOperation, yields: boolean): Promise<void> {
  try {
    await guest.call(route, { tolerate: yields });
  } catch (error) {
    if (!(yields && error instanceof OperationError && error.errno === EXISTS)) throw error;
  }
}

async function askForLease(
  guest: Guest,
  link: string,
  index: number,
  hostname: string,
  { dhcpClient, dhcpSeconds }: GuestNetwork,
): Promise<Lease> {
  const { value } = await guest.call({
    op: 'run',
    argv: [dhcpClient, link, String(dhcpSeconds), hostname],
    environment: [],
    stdin: new Uint8Array(),
    timeout: dhcpSeconds * 1000 + GRACE_MS,
  });
  const status = exitCodeOf(value);
  const said = textOf(value.output).trim();
  if (status === 0) return parseLease(said);
  if (status === NOBODY_ANSWERED) {
    throw new NetworkError('dhcp-no-answer', `no DHCP server answered on NIC ${index} within ${dhcpSeconds} s`);
  }
  if (status === REFUSED) {
    throw new NetworkError(
      'dhcp-refused',
      `the DHCP server on NIC ${index} offered an address and then refused it, for ${dhcpSeconds} s`,
    );
  }
  throw new NetworkError(
    'dhcp-failed',
    `the DHCP client failed on NIC ${index}: ${said || `wait status ${value.status}`}`,
  );
}

async function applyLease(guest: Guest, link: string, lease: Lease): Promise<void> {
  const calls: Promise<unknown>[] = [];
  if (lease.mtu !== undefined) {
    // The device may not support this MTU. A network with another one is better than none.
    const path = `/sys/class/net/${link}/mtu`;
    const data = new TextEncoder().encode(String(lease.mtu));
    calls.push(attempt(guest, { op: 'writeFile', path, mode: 0o644, flags: 0, data }));
  }
  const { address, prefix } = lease;
  calls.push(
    guest.call({ op: 'address', link, address, prefix, broadcast: lease.broadcast ?? usualBroadcast(address, prefix) }),
  );
  for (const route of lease.routes) {
    if (route.gateway !== undefined && !covers(address, prefix, route.gateway)) {
      // A gateway outside the subnet needs a route on the link itself.
      calls.push(attempt(guest, { op: 'route', link, target: route.gateway, prefix: 32, gateway: '' }));
    }
    const { target, gateway = '' } = route;
    calls.push(addRoute(guest, { op: 'route', link, target, prefix: route.prefix, gateway }, true));
  }
  await Promise.all(calls);
}

/** All ones behind the prefix; empty for IPv6 and prefixes over 30. The kernel does not fill it in by itself. */
function usualBroadcast(address: string, prefix: number): string {
  if (address.includes(':') || prefix > 30) return '';
  const bits = (numberOf(address) | (0xffff_ffff >>> prefix)) >>> 0;
  return [24, 16, 8, 0].map((shift) => (bits >>> shift) & 255).join('.');
}

function covers(address: string, prefix: number, other: string): boolean {
  if (prefix === 0) return true;
  return numberOf(address) >>> (32 - prefix) === numberOf(other) >>> (32 - prefix);
}

function numberOf(ip: string): number {
  return ip.split('.').reduce((sum, part) => ((sum << 8) | Number(part)) >>> 0, 0);
}

/** From a wait status; 256 plus the signal if a signal ended the process. */
function exitCodeOf({ status }: GuestRun): number {
  return (status & 0x7f) === 0 ? (status >> 8) & 0xff : 256 + (status & 0x7f);
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

function unique(values: readonly string[]): string[] {
  return [...new Set(values)];
}

function missingError(index: number, mac: string, there: readonly string[]): NetworkError {
  const others = there.join(', ') || 'no hardware address at all';
  return new NetworkError(
    'interface-missing',
    `NIC ${index} (${mac}) is not there inside; the interfaces have ${others}`,
  );
}
