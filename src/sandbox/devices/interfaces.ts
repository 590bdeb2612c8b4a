/** From the networks of a sandbox to its interfaces, on the host's side and inside. */
import { isIP } from 'node:net';
import type { GuestNetwork, NameService } from '../../../init/common/config.js';
import type { SandboxConfig } from '../../config/types.js';
import { CONTAINER_NATIVE } from '../../domain/container.js';
import type { InterfaceOptions } from '../../domain/interfaces.js';
import { macOf } from '../../domain/mac.js';
import { bandwidth } from '../../domain/tuning.js';
import { readIfThere } from '../../util/small-files.js';

/** Where the boot image has the DHCP client. */
export const DHCP_CLIENT = '/dhcp';
/** Where a container sees it. */
export const CONTAINER_DHCP_CLIENT = `${CONTAINER_NATIVE}/dhcp`;

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

/** @param dhcpClient path of the DHCP client inside */
export function guestNetwork(config: SandboxConfig, name: string, dhcpClient = DHCP_CLIENT): GuestNetwork | undefined {
  if (config.networks.length === 0) return undefined;
  return {
    interfaces: interfacesOf(config, name).map(({ network: { dhcp, addresses, routes }, mac }) => ({
      mac,
      dhcp,
      addresses,
      routes,
    })),
    dhcpClient,
    dhcpSeconds: DHCP_SECONDS,
    names: config.networks.some(({ dhcp }) => !dhcp) ? hostNames() : { servers: [], search: [] },
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
