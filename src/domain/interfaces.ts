/**
 * Network interfaces: those of libvirt as XML, and those that passt serves as arguments of QEMU.
 *
 * https://libvirt.org/formatdomain.html#network-interfaces, https://libvirt.org/formatnwfilter.html
 */
import type { Network } from '../config/types.js';
import type { PciAddress } from './pci.js';
import { onRootBus } from './slots.js';
import { MODERN, modernDriver } from './virtio.js';
import type { Element } from './xml.js';

/** One interface. */
export interface InterfaceOptions {
  readonly network: Network;
  /** Hardware address: the config's, or {@link macOf}. */
  readonly mac: string;
  /** The `bandwidth` element. */
  readonly bandwidth: Element | undefined;
  /** Path of passt, if it serves this interface of a machine. */
  readonly passt?: string | undefined;
}

/** An interface of a machine: an element without its address on a bus, or the hardware address of one with passt. */
export type MachineInterface = { readonly element: Element } | { readonly mac: string };

export function machineInterfaces(interfaces: readonly InterfaceOptions[]): MachineInterface[] {
  return interfaces.map((entry) => {
    if (entry.passt !== undefined) return { mac: entry.mac };
    return {
      element: {
        ...interfaceElement(entry),
        model: { '@type': MODERN },
        // The ROM is for booting from the network, and may not be installed.
        rom: { '@enabled': 'no' },
      },
    };
  });
}

/**
 * QEMU's arguments for an interface whose frames go through a socket. libvirt has an element for passt, but starts a
 * passt of its own for it, whose gateway leads to the host's loopback. QEMU connects to the channel's socket, as the
 * monitor does, because libvirt gives it access to no other; it does so when all its character devices are connected.
 */
export function streamArguments(number: number, mac: string, socket: string, address: PciAddress): string[] {
  const id = `passt${number}`;
  const backend = { type: 'stream', id, server: false, addr: { type: 'unix', path: socket } };
  const device = { driver: modernDriver('net'), netdev: id, mac, romfile: '', ...onRootBus(address) };
  return ['-netdev', JSON.stringify(backend), '-device', JSON.stringify(device)];
}

/** libvirt's own network. A container uses it where a machine has user networking. */
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
