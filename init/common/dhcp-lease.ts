/** Parses what the DHCP client prints (init/dhcp/main.c). */

export interface LeaseRoute {
  readonly target: string;
  readonly prefix: number;
  /** Undefined: the target is on the link itself. */
  readonly gateway: string | undefined;
}

export interface Lease {
  readonly address: string;
  readonly prefix: number;
  readonly broadcast: string | undefined;
  readonly routes: readonly LeaseRoute[];
  readonly nameServers: readonly string[];
  readonly domain: string | undefined;
  readonly mtu: number | undefined;
}

/** The smallest MTU that IPv4 works with. Smaller values of a server are ignored. */
const LEAST_MTU = 576;

/**
 * Reads KEY=VALUE lines and ignores unknown keys. The DHCP client has already validated the server's values, but a guest
 * may say anything in its place.
 */
export function parseLease(text: string): Lease {
  const values = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const at = line.indexOf('=');
    if (at < 0) continue;
    const key = line.slice(0, at);
    const known = values.get(key);
    if (known === undefined) values.set(key, [line.slice(at + 1)]);
    else known.push(line.slice(at + 1));
  }
  const all = (key: string): string[] => values.get(key) ?? [];
  const mtu = Number(all('mtu')[0] ?? 0);
  return {
    address: all('address')[0] ?? '',
    prefix: Number(all('prefix')[0] ?? 24),
    broadcast: all('broadcast')[0],
    routes: routesOf(all('route'), all('router')),
    nameServers: all('dns'),
    domain: all('domain')[0],
    mtu: mtu >= LEAST_MTU ? mtu : undefined,
  };
}

/** Classless routes replace the router option: https://www.rfc-editor.org/rfc/rfc3442 */
function routesOf(classless: readonly string[], routers: readonly string[]): LeaseRoute[] {
  if (classless.length === 0) {
    return routers.slice(0, 1).map((gateway) => ({ target: '0.0.0.0', prefix: 0, gateway }));
  }
  return classless.map((line) => {
    const [to = '', gateway = ''] = line.split(' ');
    const [target = '', prefix = '32'] = to.split('/');
    return { target, prefix: Number(prefix), gateway: gateway === '0.0.0.0' ? undefined : gateway };
  });
}
