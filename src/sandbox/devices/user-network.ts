/**
 * User networking: the addresses that a machine sees, and the command line of netwall and passt, which serve it.
 * init/netwall/main.c, passt(1)
 */
import { isIPv4 } from 'node:net';
import { hostProgram } from '../../util/programs.js';
import { readIfThere } from '../../util/small-files.js';
import type { Devices } from './devices.js';

/** The addresses that QEMU's own user networking (slirp) has, so that a sandbox sees the same whoever serves it. */
const GUEST = '10.0.2.15';
const PREFIX = '24';
const ROUTER = '10.0.2.2';
const RESOLVER = '10.0.2.3';
/** A guest makes its own address of the first 64 bits. */
const GUEST6 = 'fec0::15';
const ROUTER6 = 'fe80::2';
/** The host, for a sandbox that may reach it. In IPv4 it is the router. */
const HOST6 = 'fec0::2';

/** The descriptor under which netwall gives passt its connection. */
const CONNECTION = '3';

/** How a machine's user networking is served. All its interfaces are served alike. */
export interface UserNetwork {
  /** Path of passt. */
  readonly passt: string;
  /** How many interfaces there are. */
  readonly count: number;
  /** The machine reaches the host's services. */
  readonly open: boolean;
}

/** The user networking of a machine; undefined if passt serves no interface of it. */
export function userNetworkOf({ interfaces }: Pick<Devices, 'interfaces'>): UserNetwork | undefined {
  const served = interfaces.filter(({ passt }) => passt !== undefined);
  const [first] = served;
  if (first?.passt === undefined) return undefined;
  // A guest may send from any of its interfaces, so what one of them reaches the machine reaches.
  const open = served.some(({ network }) => network.hostLoopback === true);
  return { passt: first.passt, count: served.length, open };
}

/**
 * The command that serves one interface of the sandbox `name`.
 * @param user to run as; undefined: that of this process
 */
export function userNetworkCommand(
  name: string,
  { passt, open }: UserNetwork,
  user: { readonly uid: number; readonly gid: number } | undefined,
  resolver = hostResolver(),
): readonly [string, ...string[]] {
  const wall = open ? ['--open'] : ['--router', ROUTER, ...(resolver === undefined ? [] : ['--resolver', RESOLVER])];
  const own = user === undefined ? [] : ['--user', `${user.uid}:${user.gid}`];
  return [hostProgram('netwall'), '--name', name, ...own, ...wall, passt, ...passtArguments(open, resolver)];
}

function passtArguments(open: boolean, resolver: string | undefined): string[] {
  return [
    ...['--foreground', '--quiet', '--fd', CONNECTION],
    // passt takes from an interface whether there is IPv4 and IPv6, and no address: every host has this one.
    ...['--interface', 'lo'],
    ...['--address', GUEST, '--netmask', PREFIX, '--gateway', ROUTER],
    ...['--address', GUEST6, '--gateway', ROUTER6],
    ...['--no-dhcpv6', '--no-dhcp-search'],
    ...['--tcp-ports', 'none', '--udp-ports', 'none'],
    ...(resolver === undefined
      ? ['--dns', 'none']
      : ['--dns', RESOLVER, '--dns-forward', RESOLVER, '--dns-host', resolver]),
    ...(open ? ['--map-host-loopback', ROUTER, '--map-host-loopback', HOST6] : ['--no-map-gw']),
  ];
}

/** The host's first name server with an IPv4 address, on its loopback too. passt forwards to no more than one. */
export function hostResolver(text = readIfThere('/etc/resolv.conf') ?? ''): string | undefined {
  return text
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .flatMap(([key, server = '']) => (key === 'nameserver' && isIPv4(server) && server !== '0.0.0.0' ? [server] : []))
    .at(0);
}
