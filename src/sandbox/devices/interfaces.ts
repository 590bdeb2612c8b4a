/** The network interfaces of a sandbox, for the XML and for the guest. */
import { isIP } from 'node:net';
import type { GuestConfig, GuestNetwork, NameService } from '../../../init/common/config.js';
import type { SandboxConfig } from '../../config/types.js';
import { CONTAINER_NATIVE } from '../../domain/container.js';
import type { InterfaceOptions } from '../../domain/interfaces.js';
import { macOf } from '../../domain/mac.js';
import { bandwidth } from '../../domain/tuning.js';
import { findInPath } from '../../util/programs.js';
import { readIfThere } from '../../util/small-files.js';

/** Path of the DHCP client in the guest: in the boot image, or in a container's directory of native programs. */
const DHCP_CLIENTS = { machine: '/dhcp', container: `${CONTAINER_NATIVE}/dhcp` } as const;

/**
 * How long to wait for a lease. A server may check for 3 s whether an address is in use; the rest is for a busy
 * machine.
 */
const DHCP_SECONDS = 15;

/** The host's resolver files. If the first names a local resolver, the second names the servers behind it. */
const RESOLVER_FILES = ['/etc/resolv.conf', '/run/systemd/resolve/resolv.conf'] as const;

export function interfacesOf(
  { networks, tuning }: SandboxConfig,
  name: string,
  platform: GuestConfig['platform'],
): InterfaceOptions[] {
  const isUser = ({ source }: SandboxConfig['networks'][number]) => platform === 'machine' && source === undefined;
  // Without passt, QEMU serves it: driver-check.ts refuses what that would not keep from the host.
  const passt = networks.some(isUser) ? findInPath('passt') : undefined;
  return networks.map((network, index) => ({
    network,
    mac: network.mac ?? macOf(name, index),
    bandwidth: bandwidth(tuning, index),
    passt: isUser(network) ? passt : undefined,
  }));
}

export function guestNetwork(
  interfaces: readonly InterfaceOptions[],
  platform: GuestConfig['platform'],
): GuestNetwork | undefined {
  if (interfaces.length === 0) return undefined;
  return {
    interfaces: interfaces.map(({ network: { dhcp, addresses, routes }, mac }) => ({ mac, dhcp, addresses, routes })),
    dhcpClient: DHCP_CLIENTS[platform],
    dhcpSeconds: DHCP_SECONDS,
    names: interfaces.some(({ network }) => !network.dhcp) ? hostNames() : { servers: [], search: [] },
  };
}

/** The host's name servers that a guest can reach. */
function hostNames(): NameService {
  for (const file of RESOLVER_FILES) {
    const names = parseResolver(readIfThere(file) ?? '');
    if (names.servers.length > 0) return names;
  }
  return { servers: [], search: [] };
}

/** Reads resolv.conf(5), without name servers on the loopback interface and link-local ones of one interface. */
export function parseResolver(text: string): NameService {
  const lines = text.split('\n').map((line) => line.trim().split(/\s+/));
  const servers = lines.flatMap(([key, server = '']) => (key === 'nameserver' && isElsewhere(server) ? [server] : []));
  // The last search list wins.
  const search = lines.findLast(([key]) => key === 'search' || key === 'domain')?.slice(1) ?? [];
  return { servers, search };
}

function isElsewhere(server: string): boolean {
  if (isIP(server) === 4) return !server.startsWith('127.') && server !== '0.0.0.0';
  return isIP(server) === 6 && server !== '::1' && server !== '::' && !server.includes('%');
}
