/** The network setup of the common init, with a guest that answers as a kernel does. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GuestConfig, GuestInterface, GuestNetwork } from '../../../../init/common/config.js';
import { setUpNetwork } from '../../../../init/common/network.js';
import { type Guest, type Operation, OperationError } from '../../../../src/protocol/operations.js';

const EEXIST = 17;
const ENETUNREACH = 101;
const bytes = (text: string) => new TextEncoder().encode(text);

/** The guest's interfaces in order, each with its DHCP answer. */
function guestWith(leases: readonly string[]): { readonly guest: Guest; readonly routes: string[] } {
  const routes: string[] = [];
  const answer = (operation: Operation): unknown => {
    switch (operation.op) {
      case 'listDir':
        return leases.map((_lease, index) => `eth${index}`);
      case 'readFile':
        return bytes(`${macOf(Number(/eth(\d)/.exec(operation.path)?.[1]))}\n`);
      case 'run':
        return { status: 0, output: bytes(leases[Number(operation.argv[1]?.slice(3))] ?? '') };
      case 'route': {
        const { target, prefix, gateway, link } = operation;
        if (gateway === 'unreachable') throw new OperationError('route', ENETUNREACH, 'unreachable');
        const to = `${target}/${prefix}`;
        if (routes.some((route) => route.startsWith(`${to} `)))
          throw new OperationError('route', EEXIST, `route(${to})`);
        routes.push(`${to} ${gateway} ${link}`);
        return undefined;
      }
      default:
        return undefined;
    }
  };
  const call = async (operation: Operation) => ({ microseconds: 0, value: answer(operation) });
  return { guest: { call } as Guest, routes };
}

const macOf = (index: number) => `52:54:00:00:00:0${index}`;

function network(interfaces: readonly (readonly (readonly [string, number, string])[] | 'dhcp')[]): GuestNetwork {
  return {
    interfaces: interfaces.map((wanted, index): GuestInterface => {
      const routes = wanted === 'dhcp' ? [] : wanted.map(([target, prefix, gateway]) => ({ target, prefix, gateway }));
      return { mac: macOf(index), dhcp: wanted === 'dhcp', addresses: [], routes };
    }),
    dhcpClient: '/dhcp',
    dhcpSeconds: 1,
    names: { servers: [], search: [] },
  };
}

const LEASE = 'address=10.0.0.2\nprefix=24\nroute=10.50.0.0/16 10.0.0.3\nroute=0.0.0.0/0 10.0.0.1\n';
const config = { hostname: 'sandbox' } as GuestConfig;

for (const [what, interfaces, expected] of [
  [
    'a static default route before one from DHCP',
    [[['0.0.0.0', 0, '10.1.0.1']], 'dhcp'],
    ['0.0.0.0/0 10.1.0.1 eth0', '10.50.0.0/16 10.0.0.3 eth1'],
  ],
  [
    'one from DHCP before a static one',
    ['dhcp', [['0.0.0.0', 0, '10.1.0.1']]],
    ['10.50.0.0/16 10.0.0.3 eth0', '0.0.0.0/0 10.0.0.1 eth0'],
  ],
  [
    'two static ones',
    [
      [['0.0.0.0', 0, '10.1.0.1']],
      [
        ['0.0.0.0', 0, '10.2.0.1'],
        ['10.9.0.0', 16, '10.2.0.2'],
      ],
    ],
    ['0.0.0.0/0 10.1.0.1 eth0', '10.9.0.0/16 10.2.0.2 eth1'],
  ],
  ['two of DHCP', ['dhcp', 'dhcp'], ['10.50.0.0/16 10.0.0.3 eth0', '0.0.0.0/0 10.0.0.1 eth0']],
] as const) {
  test(`the first interface wins among routes to one destination: ${what}`, async () => {
    const { guest, routes } = guestWith(interfaces.map(() => LEASE));
    await setUpNetwork(guest, config, network(interfaces));
    assert.deepEqual(routes, expected);
  });
}

test('two routes to one destination on the first interface are an error, and so is a later route that the kernel refuses', async () => {
  const twice = network([
    [
      ['0.0.0.0', 0, '10.1.0.1'],
      ['0.0.0.0', 0, '10.1.0.2'],
    ],
  ]);
  await assert.rejects(setUpNetwork(guestWith(['']).guest, config, twice), { errno: EEXIST });
  const refused = network([[], [['0.0.0.0', 0, 'unreachable']]]);
  await assert.rejects(setUpNetwork(guestWith(['', '']).guest, config, refused), { errno: ENETUNREACH });
});
