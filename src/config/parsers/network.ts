/** `--network KEY[=VALUE],…`: one network interface. */
import { argumentError, quote } from '../errors.js';
import type { Network, NetworkAddress, NetworkRoute } from '../types.js';
import { readAddress, readRoute } from './network-address.js';
import { splitOnce } from './text.js';

const KEYS =
  'write a list of dhcp, host-loopback, source=NETWORK, mac=MAC, address=IP[/PREFIX][%BROADCAST], route=NETWORK[/PREFIX]%GATEWAY, ' +
  'filter=NAME and filter.KEY=VALUE';

/** The whole of a `--network` for a sandbox without one. */
const NONE = 'none';

/**
 * Reads every `--network` of a command line. `none` stands alone.
 * @throws SandboxError `network-none-conflict`, and those of {@link parseNetwork}
 */
export function parseNetworks(texts: readonly string[]): readonly Network[] | typeof NONE {
  if (!texts.includes(NONE)) return texts.map(parseNetwork);
  const other = texts.find((text) => text !== NONE);
  if (other === undefined) return NONE;
  throw argumentError(
    'network-none-conflict',
    `there is --network none, and --network ${quote(other)} too`,
    'leave one of them out',
  );
}

/**
 * Reads one interface. `address` and `route` may be repeated; of any other key the last one counts. As in
 * libvirt-sandbox, DHCP must be asked for: an interface without `dhcp` and without addresses is only brought up.
 * @throws SandboxError `network-option-unknown` (for an empty part too), `network-value-missing`,
 *   `network-mac-invalid`, `network-dhcp-conflict`, `network-route-without-address`, `network-filter-missing`,
 *   `network-filter-parameter-invalid`, and those of {@link readAddress} and {@link readRoute}
 */
export function parseNetwork(text: string): Network {
  const what = `network ${quote(text)}`;
  let dhcp = false;
  let hostLoopback = false;
  const single = new Map<string, string>();
  const addresses: NetworkAddress[] = [];
  const routes: NetworkRoute[] = [];
  const parameters: [string, string][] = [];
  for (const part of text.split(',')) {
    const [key, value] = splitOnce(part, '=') ?? [part, undefined];
    if (part === 'dhcp') dhcp = true;
    else if (part === 'host-loopback') hostLoopback = true;
    else if (key.startsWith('filter.')) parameters.push(readParameter(key.slice('filter.'.length), value, what));
    else if (key === 'address') addresses.push(readAddress(required(value, key, what), what));
    else if (key === 'route') routes.push(readRoute(required(value, key, what), what));
    else if (key === 'source' || key === 'mac' || key === 'filter') single.set(key, required(value, key, what));
    else throw argumentError('network-option-unknown', `${what} has the unknown part ${quote(part)}`, KEYS);
  }
  if (dhcp && addresses.length + routes.length > 0) {
    throw argumentError(
      'network-dhcp-conflict',
      `${what} has both dhcp and ${addresses.length > 0 ? 'an address' : 'a route'}`,
      'leave out either dhcp or the addresses and routes',
    );
  }
  if (routes.length > 0 && addresses.length === 0) {
    throw argumentError(
      'network-route-without-address',
      `${what} has a route and no address`,
      'add address=IP, through which the gateway is reached',
    );
  }
  const filter = single.get('filter');
  if (filter === undefined && parameters.length > 0) {
    throw argumentError('network-filter-missing', `${what} has filter parameters and no filter`, 'add filter=NAME');
  }
  return {
    dhcp,
    source: single.get('source'),
    ...(hostLoopback ? { hostLoopback } : {}),
    mac: checkMac(single.get('mac'), what),
    addresses,
    routes,
    filter: filter === undefined ? undefined : { name: filter, parameters: Object.fromEntries(parameters) },
  };
}

function required(value: string | undefined, key: string, what: string): string {
  if (value !== undefined && value !== '') return value;
  throw argumentError('network-value-missing', `${what} has no value for ${key}`, KEYS);
}

/** nwfilter variables are written in upper case. */
function readParameter(key: string, value: string | undefined, what: string): [string, string] {
  if (/^[A-Za-z0-9_]+$/.test(key) && value !== undefined) return [key.toUpperCase(), value];
  throw argumentError(
    'network-filter-parameter-invalid',
    `${what} has the filter parameter ${quote(value === undefined ? key : `${key}=${value}`)}, which is not KEY=VALUE`,
    'write filter.KEY=VALUE, where KEY is letters, digits and _',
  );
}

/**
 * Checks a MAC address. It must be that of one interface: libvirt refuses a group address, whose first byte is odd, and
 * QEMU reads zeros as no address.
 * @throws SandboxError `network-mac-invalid`
 */
export function checkMac(mac: string | undefined, what: string): string | undefined {
  if (mac === undefined || /^(?!00(:00){5}$)[0-9a-f][02468ace](:[0-9a-f]{2}){5}$/i.test(mac)) return mac;
  throw argumentError(
    'network-mac-invalid',
    `${what} has the MAC address ${quote(mac)}, which is not that of one interface`,
    'write six bytes in hexadecimal, the first one even, and not all of them 0: 52:54:00:12:34:56',
  );
}
