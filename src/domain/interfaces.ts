/**
 * Network interfaces as libvirt describes them.
 *
 * https://libvirt.org/formatdomain.html#network-interfaces, https://libvirt.org/formatnwfilter.html
 */
import type { Network } from '../config/types.js';
import type { Element } from './xml.js';

/** One interface, with the hardware address that it was given or that was made for it. */
export interface InterfaceOptions {
  readonly network: Network;
  readonly mac: string;
  /** The `bandwidth` element. */
  readonly bandwidth: Element | undefined;
}

/** The `interface` elements of a machine, without addresses on a bus. */
export function machineInterfaces(interfaces: readonly InterfaceOptions[]): Element[] {
  return interfaces.map((entry) => ({
    ...interfaceElement(entry),
    model: { '@type': 'virtio' },
    // It is for booting from the network, and it need not be installed.
    rom: { '@enabled': 'no' },
  }));
}

/** The network that libvirt brings, which leads a container out where a machine has user-mode networking. */
const DEFAULT_NETWORK = 'default';

/** The `interface` element of a container. */
export function containerInterface(entry: InterfaceOptions): Element {
  const source = entry.network.source ?? DEFAULT_NETWORK;
  return interfaceElement({ ...entry, network: { ...entry.network, source } });
}

/** What machines and containers have in common. */
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
