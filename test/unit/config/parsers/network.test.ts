/** The grammar of `--network` and `--security`. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseNetwork, parseNetworks } from '../../../../src/config/parsers/network.js';
import { parseSecurity } from '../../../../src/config/parsers/security.js';
import type { Network, Security } from '../../../../src/config/types.js';
import { refuses } from '../support.js';

const network = (fields: Partial<Network>): Network => ({
  dhcp: false,
  source: undefined,
  mac: undefined,
  addresses: [],
  routes: [],
  filter: undefined,
  ...fields,
});

const NETWORKS: [string, Network][] = [
  ['dhcp', network({ dhcp: true })],
  ['dhcp,host-loopback', network({ dhcp: true, hostLoopback: true })],
  [
    'host-loopback,address=10.1.2.3/32,host-loopback',
    network({ hostLoopback: true, addresses: [{ primary: '10.1.2.3', prefix: 32, broadcast: undefined }] }),
  ],
  ['source=lan', network({ source: 'lan' })],
  ['dhcp,source=lan,mac=52:54:00:aB:00:01', network({ dhcp: true, source: 'lan', mac: '52:54:00:aB:00:01' })],
  ['mac=00:00:00:00:00:01', network({ mac: '00:00:00:00:00:01' })],
  ['source=a,source=b', network({ source: 'b' })],
  ['address=10.1.2.3', network({ addresses: [{ primary: '10.1.2.3', prefix: 24, broadcast: undefined }] })],
  ['address=10.1.2.3/0', network({ addresses: [{ primary: '10.1.2.3', prefix: 0, broadcast: undefined }] })],
  ['address=10.1.2.3/32', network({ addresses: [{ primary: '10.1.2.3', prefix: 32, broadcast: undefined }] })],
  [
    'address=10.1.2.3%10.1.2.255',
    network({ addresses: [{ primary: '10.1.2.3', prefix: 24, broadcast: '10.1.2.255' }] }),
  ],
  [
    'address=10.1.2.3/16%10.1.255.255',
    network({ addresses: [{ primary: '10.1.2.3', prefix: 16, broadcast: '10.1.255.255' }] }),
  ],
  ['address=fd00::1', network({ addresses: [{ primary: 'fd00::1', prefix: 64, broadcast: undefined }] })],
  ['address=FD00:0:0::0001/128', network({ addresses: [{ primary: 'fd00::1', prefix: 128, broadcast: undefined }] })],
  [
    'address=10.1.2.3,address=fd00::1/48,route=10.0.0.0/8%10.1.2.1,route=fd01::%fd00::ff',
    network({
      addresses: [
        { primary: '10.1.2.3', prefix: 24, broadcast: undefined },
        { primary: 'fd00::1', prefix: 48, broadcast: undefined },
      ],
      routes: [
        { target: '10.0.0.0', prefix: 8, gateway: '10.1.2.1' },
        { target: 'fd01::', prefix: 64, gateway: 'fd00::ff' },
      ],
    }),
  ],
  [
    'route=0.0.0.0/0%10.1.2.1,address=10.1.2.3',
    network({
      addresses: [{ primary: '10.1.2.3', prefix: 24, broadcast: undefined }],
      routes: [{ target: '0.0.0.0', prefix: 0, gateway: '10.1.2.1' }],
    }),
  ],
  ['filter=clean', network({ filter: { name: 'clean', parameters: {} } })],
  [
    'filter.ip=10.0.0.5,dhcp,filter=clean,filter.Ctrl_Ip=a=b,filter.EMPTY=',
    network({ dhcp: true, filter: { name: 'clean', parameters: { IP: '10.0.0.5', CTRL_IP: 'a=b', EMPTY: '' } } }),
  ],
];

test('networks', async (t) => {
  for (const [text, expected] of NETWORKS) await t.test(text, () => assert.deepEqual(parseNetwork(text), expected));
});

const BAD_NETWORKS: [string, string, string][] = [
  ['', 'network-option-unknown', '""'],
  ['dhcp,', 'network-option-unknown', '""'],
  ['dhcp,,source=lan', 'network-option-unknown', '""'],
  ['dhcp=yes', 'network-option-unknown', '"dhcp=yes"'],
  ['DHCP', 'network-option-unknown', '"DHCP"'],
  ['gateway=10.0.0.1', 'network-option-unknown', '"gateway=10.0.0.1"'],
  ['source', 'network-value-missing', 'source'],
  ['source=', 'network-value-missing', 'source'],
  ['mac=', 'network-value-missing', 'mac'],
  ['address=', 'network-value-missing', 'address'],
  ['route', 'network-value-missing', 'route'],
  ['filter=', 'network-value-missing', 'filter'],
  ['mac=52:54:00:aa:bb', 'network-mac-invalid', '"52:54:00:aa:bb"'],
  ['mac=53:54:00:aa:bb:cc', 'network-mac-invalid', '"53:54:00:aa:bb:cc"'],
  ['mac=52-54-00-aa-bb-cc', 'network-mac-invalid', '"52-54-00-aa-bb-cc"'],
  ['mac=00:00:00:00:00:00', 'network-mac-invalid', '"00:00:00:00:00:00"'],
  ['address=224.0.0.1', 'network-address-invalid', '"224.0.0.1", which is a multicast group'],
  ['address=239.255.255.255/8', 'network-address-invalid', '"239.255.255.255"'],
  ['address=0.0.0.0', 'network-address-invalid', '"0.0.0.0", which is unspecified'],
  ['address=255.255.255.255/32', 'network-address-invalid', '"255.255.255.255", which is a broadcast'],
  ['address=::/0', 'network-address-invalid', '"::"'],
  ['address=FF02:0::1', 'network-address-invalid', '"ff02::1"'],
  ['address=10.1.2.3,route=10.0.0.0/8%0.0.0.0', 'network-gateway-invalid', '"0.0.0.0"'],
  ['address=fd00::1,route=fd01::%ff02::2', 'network-gateway-invalid', '"ff02::2"'],
  ['address=10.1.2', 'network-address-invalid', '"10.1.2"'],
  ['address=host.example', 'network-address-invalid', '"host.example"'],
  ['address=/24', 'network-address-invalid', '""'],
  ['address=10.1.2.3/33', 'network-prefix-invalid', '"33"'],
  ['address=fd00::1/129', 'network-prefix-invalid', '"129"'],
  ['address=10.1.2.3/', 'network-prefix-invalid', '""'],
  ['address=10.1.2.3/255.255.255.0', 'network-prefix-invalid', '"255.255.255.0"'],
  ['address=10.1.2.3/-1', 'network-prefix-invalid', '"-1"'],
  ['address=10.1.2.3%', 'network-broadcast-invalid', '""'],
  ['address=10.1.2.3%x', 'network-broadcast-invalid', '"x"'],
  ['address=fd00::1%10.1.2.255', 'network-broadcast-invalid', '"10.1.2.255"'],
  ['address=10.1.2.3,route=10.0.0.0/8', 'network-gateway-missing', '"10.0.0.0/8"'],
  ['address=10.1.2.3,route=10.0.0.0/8%', 'network-gateway-missing', '"10.0.0.0/8%"'],
  ['address=10.1.2.3,route=10.0.0.0/8%x', 'network-gateway-invalid', '"x"'],
  ['address=10.1.2.3,route=10.0.0.0/8%fd00::1', 'network-gateway-invalid', '"fd00::1"'],
  ['address=10.1.2.3,route=default%10.1.2.1', 'network-address-invalid', '"default"'],
  ['address=10.1.2.3,route=10.0.0.0/40%10.1.2.1', 'network-prefix-invalid', '"40"'],
  ['dhcp,address=10.1.2.3', 'network-dhcp-conflict', 'an address'],
  ['route=10.0.0.0/8%10.1.2.1,dhcp', 'network-dhcp-conflict', 'a route'],
  ['route=10.0.0.0/8%10.1.2.1', 'network-route-without-address', 'route=10.0.0.0/8%10.1.2.1'],
  ['filter.IP=10.0.0.5', 'network-filter-missing', 'filter.IP=10.0.0.5'],
  ['filter=x,filter.IP', 'network-filter-parameter-invalid', '"IP"'],
  ['filter=x,filter.=v', 'network-filter-parameter-invalid', '"=v"'],
  ['filter=x,filter.A-B=v', 'network-filter-parameter-invalid', '"A-B=v"'],
];

test('bad networks', async (t) => {
  for (const [text, code, name] of BAD_NETWORKS) {
    await t.test(JSON.stringify(text), () => refuses(() => parseNetwork(text), 'arguments', code, name));
  }
});

test('security', async (t) => {
  const table: [string, Security][] = [
    ['dynamic', { mode: 'dynamic', label: undefined }],
    ['dynamic,label=u:r:t:s0', { mode: 'dynamic', label: 'u:r:t:s0' }],
    ['static', { mode: 'static', label: undefined }],
    ['static,label=u:r:t:s0:c1,c2', { mode: 'static', label: 'u:r:t:s0:c1,c2' }],
    ['static,label=a=b', { mode: 'static', label: 'a=b' }],
    ['inherit', { mode: 'inherit', label: undefined }],
    ['inherit,label=u:r:t:s0', { mode: 'inherit', label: 'u:r:t:s0' }],
  ];
  for (const [text, expected] of table) await t.test(text, () => assert.deepEqual(parseSecurity(text), expected));
});

test('bad security', async (t) => {
  const table: [string, string, string][] = [
    ['', 'security-mode-unknown', '""'],
    ['none', 'security-mode-unknown', '"none"'],
    ['label=u:r:t:s0', 'security-mode-unknown', '"label=u:r:t:s0"'],
    ['static,label=', 'security-label-missing', '"static,label="'],
    ['dynamic,label=', 'security-label-missing', '"dynamic,label="'],
    ['dynamic,', 'security-option-unknown', '""'],
    ['static,level=s0', 'security-option-unknown', '"level=s0"'],
  ];
  for (const [text, code, name] of table) {
    await t.test(JSON.stringify(text), () => refuses(() => parseSecurity(text), 'arguments', code, name));
  }
});

test('none stands alone, and is no interface', () => {
  assert.deepEqual(parseNetworks([]), []);
  assert.equal(parseNetworks(['none']), 'none');
  assert.equal(parseNetworks(['none', 'none']), 'none');
  assert.deepEqual(parseNetworks(['dhcp']), [network({ dhcp: true })]);
  refuses(() => parseNetworks(['none', 'dhcp']), 'arguments', 'network-none-conflict', '"dhcp"');
  refuses(() => parseNetworks(['none,dhcp']), 'arguments', 'network-option-unknown', '"none"');
});
