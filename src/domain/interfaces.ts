/**
 * The XML of network interfaces.
 *
 * https://libvirt.org/formatdomain.html#network-interfaces, https://libvirt.org/formatnwfilter.html
 */
import type { Network } from '../config/types.js';
import { MODERN } from './virtio.js';
import type { Element } from './xml.js';

/** One interface. */
export interface InterfaceOptions {
  readonly network: Network;
  /** Hardware address: the config's, or {@link macOf}. */
  readonly mac: string;
  /** The `bandwidth` element. */
  readonly bandwidth: Element | undefined;
}

/** The `interface` elements of a machine, without addresses on a bus. */
export function machineInterfaces(interfaces: readonly InterfaceOptions[]): Element[] {
  return interfaces.map((entry) => ({
    ...interfaceElement(entry),
    model: { '@type': MODERN },
    // The ROM is for booting from the network, and may not be installed.
    rom: { '@enabled': 'no' },
  }));
}

/** libvirt's own network. A container uses it where a machine has user-mode networking. */
const DEFAULT_NETWORK = 'default';

/** The `interface` element of a container. */
export function containerInterface(entry: InterfaceOptions): Element {
  const source = entry.network.source ?? DEFAULT_NETWORK;
  return interfaceElement({ ...entry, network: { ...entry.network, source } });
}

/** The part that machines and containers have in common. */
function interfaceElement({ network, mac, bandwidth }: InterfaceOptions): Element {
  const { source, filter } = network;
  return {
    '@type': source === undefined ? 'user' : 'network',
    mac: { '@address': mac },
    source: source === undefined ? undefined : { '@network': source },
    bandwidth,
    filterref:
      filter === undefined
        ? undefined
        : {
            '@filter': filter.name,
            parameter: Object.entries(filter.parameters).map(([name, value]) => ({ '@name': name, '@value': value })),
          },
  };
}
