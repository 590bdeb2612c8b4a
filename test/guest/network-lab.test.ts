/** Interfaces on libvirt networks that this test creates for this host alone. */

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { after, before, describe, it, type TestContext } from 'node:test';
import { uniqueName } from '../helpers/leftovers.js';
import { PrivateLibvirt, unlessPrivateLibvirt } from '../helpers/private-libvirt.js';
import { makeRoot, unlessBusybox } from '../helpers/roots.js';
import { assertFailure, assertRun, environment, startSandbox } from '../helpers/run.js';
import { scratchDirectory } from '../helpers/scratch.js';

/** No outside name server: the network answers only for its own domain. */
const NETWORK = `<network xmlns:dnsmasq='http://libvirt.org/schemas/network/dnsmasq/1.0'>
  <name>lab</name>
  <bridge name='vslab0' stp='off' delay='0'/>
  <domain name='lab.test' localOnly='yes'/>
  <dns forwardPlainNames='no'><host ip='192.168.123.1'><hostname>server.lab.test</hostname></host></dns>
  <ip address='192.168.123.1' netmask='255.255.255.0'>
    <dhcp>
      <range start='192.168.123.100' end='192.168.123.200'/>
      <host mac='52:54:00:00:00:42' name='known' ip='192.168.123.42'/>
    </dhcp>
  </ip>
  <ip family='ipv6' address='fd12:3456::1' prefix='64'/>
  <dnsmasq:options>
    <dnsmasq:option value='dhcp-option=option:mtu,1400'/>
    <dnsmasq:option value='dhcp-option=option:classless-static-route,10.50.0.0/16,192.168.123.2,0.0.0.0/0,192.168.123.1'/>
  </dnsmasq:options>
</network>`;

const QUIET_NETWORK = `<network>
  <name>silent</name>
  <bridge name='vslab1' stp='off' delay='0'/>
  <ip address='192.168.124.1' netmask='255.255.255.0'/>
</network>`;

const FILTER = `<filter name='block-port' chain='root'>
  <rule action='drop' direction='out' priority='500'><tcp dstportstart='$BLOCKED'/></rule>
</filter>`;

/** Prints `PORT open` or `PORT closed`, as seen from the host's side. */
function tryPort(address: string, port: number): string {
  return `if [ "$(busybox nc -w 3 ${address} ${port} </dev/null 2>/dev/null)" = "port ${port}" ]; then echo ${port} open; else echo ${port} closed; fi`;
}

/** Says `port PORT` to each client. */
const SERVER = `
const { createServer } = require('node:net');
const ports = process.argv.slice(1).map(Number);
let listening = 0;
for (const port of ports)
  createServer((socket) => socket.on('error', () => {}).end('port ' + port)).listen(port, '::', () => {
    listening += 1;
    if (listening === ports.length) console.log('listening');
  });
`;

describe('on a network of libvirt', { skip: unlessPrivateLibvirt() || unlessBusybox }, () => {
  let libvirt: PrivateLibvirt;
  let server: ChildProcess;

  before(async () => {
    libvirt = await PrivateLibvirt.start();
    const [program = '', ...args] = [...libvirt.through, process.execPath, '-e', SERVER, '8081', '8082'];
    server = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'], env: environment() });
    await new Promise((resolve) => server.stdout?.once('data', resolve));
  });
  after(async () => {
    server?.kill('SIGKILL');
    await libvirt?.end();
  });

  /** Creates both networks once. */
  async function networks(t: TestContext): Promise<void> {
    const names = (await libvirt.virsh('net-list', '--name')).split('\n');
    if (names.includes('lab')) return;
    const directory = scratchDirectory(t);
    await libvirt.virshFile(directory, 'net-create', NETWORK);
    await libvirt.virshFile(directory, 'net-create', QUIET_NETWORK);
    await libvirt.virshFile(directory, 'nwfilter-define', FILTER);
  }

  it('gets address, routes, MTU, domain and name server by DHCP, on a root without a DHCP client', async (t) => {
    await networks(t);
    const root = makeRoot(t, 'dev', 'proc', 'sys', 'tmp', 'run', 'etc');
    writeFileSync(`${root}/etc/resolv.conf`, 'nameserver 192.0.2.1\n');
    const script = [
      'busybox ip -4 addr show dev eth0 | busybox grep -o "inet .* brd [^ ]*"',
      'busybox cat /sys/class/net/eth0/address /sys/class/net/eth0/mtu',
      'busybox ip route | busybox grep via',
      'busybox cat /etc/resolv.conf',
      'busybox nslookup server.lab.test | busybox grep -A1 "^Name" | busybox grep -o "Address.*"',
      tryPort('192.168.123.1', 8081),
      // The kernel makes an address from the router's announcement and checks for a second that it is free.
      'for i in $(busybox seq 100); do',
      '  busybox ip -6 addr show dev eth0 | busybox grep fd12 | busybox grep -qv tentative && break; busybox sleep 0.1',
      'done',
      tryPort('fd12:3456::1', 8082),
    ].join('\n');
    const address = [
      '--boot',
      'cold',
      '--root',
      root,
      '-n',
      uniqueName(),
      '-N',
      'dhcp,source=lab,mac=52:54:00:00:00:42',
    ];
    const result = await libvirt.sandbox([...address, '--', '/bin/sh', '-c', script]);
    assertRun(
      result,
      0,
      [
        'inet 192.168.123.42/24 brd 192.168.123.255',
        '52:54:00:00:00:42',
        '1400',
        'default via 192.168.123.1 dev eth0 ',
        '10.50.0.0/16 via 192.168.123.2 dev eth0 ',
        'search lab.test',
        'nameserver 192.168.123.1',
        'Address: 192.168.123.1',
        '8081 open',
        '8082 open',
        '',
      ].join('\n'),
    );
  });

  it('sets static addresses and routes of both families on two interfaces', async (t) => {
    await networks(t);
    const second =
      'source=lab,mac=52:54:00:00:00:07,address=192.168.123.7/24%192.168.123.127,address=192.168.123.8/32,address=fd12:3456::7/64,' +
      'route=10.9.0.0/16%192.168.123.1,route=0.0.0.0/0%192.168.123.1,route=fd99::/48%fd12:3456::1';
    // The first has the higher hardware address, and is on another network.
    const first = 'source=silent,mac=52:54:00:00:00:ff,address=192.168.124.9';
    const script = [
      'for mac in 52:54:00:00:00:ff 52:54:00:00:00:07; do',
      '  link=$(grep -l $mac /sys/class/net/*/address | cut -d/ -f5)',
      // The kernel also makes an address from the router's announcement some time later.
      '  ip addr show dev $link permanent | grep -oE "inet6? [^ ]+( brd [^ ]+)?( scope global)" | sort',
      '  ip route show dev $link | grep via; ip -6 route show dev $link | grep via',
      'done',
      tryPort('192.168.123.1', 8081),
      tryPort('fd12:3456::1', 8081),
      'grep -c . /etc/resolv.conf',
    ].join('\n');
    const result = await libvirt.sandbox(['-N', first, '-N', second, '--', 'sh', '-c', script]);
    assert.equal(result.code, 0, result.stderr);
    const lines = result.out.split('\n').map((line) => line.replace(/ (proto|metric|pref) \S+/g, '').trim());
    assert.deepEqual(lines.slice(0, -2), [
      'inet 192.168.124.9/24 brd 192.168.124.255 scope global',
      'inet 192.168.123.7/24 brd 192.168.123.127 scope global',
      'inet 192.168.123.8/32 scope global',
      'inet6 fd12:3456::7/64 scope global',
      'default via 192.168.123.1',
      '10.9.0.0/16 via 192.168.123.1',
      'fd99::/48 via fd12:3456::1',
      '8081 open',
      '8081 open',
    ]);
  });

  it('uses the route of the first interface when two have the same destination', async (t) => {
    await networks(t);
    const silent = 'source=silent,address=192.168.124.9,route=0.0.0.0/0%192.168.124.1';
    const args = ['-N', silent, '-N', 'dhcp,source=lab', '-N', 'dhcp,source=lab'];
    const script = 'busybox ip route | busybox grep via';
    const result = await libvirt.sandbox([...args, '--', 'sh', '-c', script]);
    assertRun(result, 0, 'default via 192.168.124.1 dev eth0 \n10.50.0.0/16 via 192.168.123.2 dev eth1 \n');
  });

  it('applies a filter with parameters', async (t) => {
    await networks(t);
    const name = uniqueName();
    const network = 'source=lab,address=192.168.123.9,filter=block-port,filter.blocked=8082';
    const script = `${tryPort('192.168.123.1', 8081)}; ${tryPort('192.168.123.1', 8082)}`;
    const result = await libvirt.sandbox(['-n', name, '-N', network, '--', 'sh', '-c', script]);
    assertRun(result, 0, '8081 open\n8082 closed\n');
    const { out } = await libvirt.sandbox(['-n', name, '-N', network, '--print-xml', '--', 'true']);
    assert.match(out, /<filterref filter="block-port">\s*<parameter name="BLOCKED" value="8082"\/>\s*<\/filterref>/);
    assertFailure(
      await libvirt.sandbox(['-N', 'source=lab,address=192.168.123.9,filter=no-such', '--', 'true']),
      /no-such/,
    );
  });

  it('names the interface that got no DHCP answer, and how long it waited', async (t) => {
    await networks(t);
    const answered = ['-N', 'source=lab,address=192.168.123.10'];
    const silent = ['-N', 'dhcp,source=silent'];
    assertFailure(
      await libvirt.sandbox(['--boot-timeout', '600', ...answered, ...silent, '--', 'true']),
      /no DHCP server answered on NIC 1 within 15 s; see that/,
    );
  });

  it('reports a network that does not exist', async () => {
    assertFailure(await libvirt.sandbox(['-N', 'source=nowhere,dhcp', '--', 'true']), /nowhere/);
  });

  it('limits what the interface sends and receives', async (t) => {
    await networks(t);
    // libvirt limits with a scheduler that not every kernel has; there is no other way.
    const lacks = await libvirt.run('tc', 'qdisc', 'add', 'dev', 'lo', 'root', 'sfq').then(
      () => libvirt.run('tc', 'qdisc', 'del', 'dev', 'lo', 'root').then(() => false),
      () => true,
    );
    if (lacks) {
      const limited = ['-N', 'source=lab,address=192.168.123.11', '--net-limit', '0:inbound.average=1000'];
      assertFailure(await libvirt.sandbox([...limited, '--', 'true']), /tc qdisc .*leave --net-limit out/);
      t.skip('the kernel of this host has no sfq scheduler');
      return;
    }
    const name = uniqueName();
    const limits = '0:inbound.average=1000,inbound.peak=2000,inbound.burst=512,outbound.average=800';
    const running = startSandbox(
      ['-c', libvirt.uri, '-n', name, '-N', 'source=lab,address=192.168.123.11', '--net-limit', limits].concat(
        '--',
        'sh',
        '-c',
        'echo ready; read line',
      ),
      { through: libvirt.through, input: 'open' },
    );
    await running.until(/ready/);
    const xml = await libvirt.virsh('dumpxml', name);
    assert.match(xml, /<inbound average='1000' peak='2000' burst='512'\/>\s*<outbound average='800'\/>/);
    const tap = /<target dev='(vnet\d+)'\/>/.exec(xml)?.[1] ?? '';
    // A tap sends what the guest receives. libvirt says KiB; tc counts 1000 bytes for each.
    assert.match(await libvirt.run('tc', 'class', 'show', 'dev', tap), /rate 8Mbit ceil 16Mbit/);
    assert.match(await libvirt.run('tc', 'filter', 'show', 'dev', tap, 'parent', 'ffff:'), /police .* rate 6400Kbit/);
    running.child.stdin?.end('\n');
    assert.equal((await running.result).code, 0);
  });
});
