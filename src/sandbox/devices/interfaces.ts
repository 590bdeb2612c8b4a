/** From the networks of a sandbox to its interfaces, on the host's side and inside. */
import { isIP } from 'node:net';
import type { GuestConfig, GuestNetwork, NameService } from '../../../init/common/config.js';
import type { SandboxConfig } from '../../config/types.js';
import { CONTAINER_NATIVE } from '../../domain/container.js';
import type { InterfaceOptions } from '../../domain/interfaces.js';
import { macOf } from '../../domain/mac.js';
import { bandwidth } from '../../domain/tuning.js';
import { readIfThere } from '../../util/small-files.js';

/** Where the guest finds the DHCP client: in the boot image, or in the directory of native programs that a container is given. */
const DHCP_CLIENTS = { machine: '/dhcp', container: `${CONTAINER_NATIVE}/dhcp` } as const;

/** A DHCP server may try for three seconds whether an address is in use; the rest is for a busy machine. */
const DHCP_SECONDS = 15;

/** The host's resolver files. Where a local resolver answers, the second names the servers that it asks. */
const RESOLVER_FILES = ['/etc/resolv.conf', '/run/systemd/resolve/resolv.conf'] as const;

export function interfacesOf({ networks, tuning }: SandboxConfig, name: string): InterfaceOptions[] {
  return networks.map((network, index) => ({
    network,
    mac: network.mac ?? macOf(name, index),
    bandwidth: bandwidth(tuning, index),
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

/** The name servers of the host that are not the host itself: those can be reached from elsewhere. */
function hostNames(): NameService {
  for (const file of RESOLVER_FILES) {
    const names = parseResolver(readIfThere(file) ?? '');
    if (names.servers.length > 0) return names;
  }
  return { servers: [], search: [] };
}

/** Reads resolv.conf(5), less name servers on the loopback interface and those that only one interface of the host reaches. */
export function parseResolver(text: string): NameService {
  const lines = text.split('\n').map((line) => line.trim().split(/\s+/));
  const servers = lines.flatMap(([key, server = '']) => (key === 'nameserver' && isElsewhere(server) ? [server] : []));
  // Of several lists the last counts.
  const search = lines.findLast(([key]) => key === 'search' || key === 'domain')?.slice(1) ?? [];
  return { servers, search };
}

function isElsewhere(server: string): boolean {
  if (isIP(server) === 4) return !server.startsWith('127.') && server !== '0.0.0.0';
  return isIP(server) === 6 && server !== '::1' && server !== '::' && !server.includes('%');
}
