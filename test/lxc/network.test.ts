/** The network of a container, on a host-only network that the test creates beside the containers' libvirtd. */

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { besideLxc, lxc } from '../helpers/connections.js';
import { ask, askInside } from '../helpers/inside.js';
import { assertNothingLeft, uniqueName } from '../helpers/leftovers.js';
import { scratchImage, unlessBusyboxImage } from '../helpers/oci/root-images.js';
import { makeRoot, unlessBusybox } from '../helpers/roots.js';
import { assertFailure, runSandbox } from '../helpers/run.js';
import { scratchDirectory } from '../helpers/scratch.js';

/** An isolated network with a DHCP server. */
function networkXml(name: string, subnet: string): string {
  return `<network><name>${name}</name><bridge name='vst${randomBytes(3).toString('hex')}' stp='off' delay='0'/>
    <domain name='lxc.test' localOnly='yes'/>
    <dns forwardPlainNames='no'><host ip='${subnet}.1'><hostname>server.lxc.test</hostname></host></dns>
    <ip address='${subnet}.1' netmask='255.255.255.0'><dhcp><range start='${subnet}.50' end='${subnet}.60'/></dhcp></ip></network>`;
}

/** Addresses that the container must not reach. */
function filterXml(name: string): string {
  return `<filter name='${name}' chain='root'>
    <rule action='drop' direction='out' priority='500'><tcp dstportstart='$BLOCKED'/></rule></filter>`;
}

/** Runs virsh beside the containers' libvirtd, with a file of that content. */
function defined(command: string, xml: string): void {
  const file = join(tmpdir(), `${uniqueName()}.xml`);
  writeFileSync(file, xml);
  besideLxc('virsh', '-c', lxc.uri, command, file);
  rmSync(file);
}

describe('the network of a container', { skip: lxc.skip, concurrency: 2 }, () => {
  const named = uniqueName();
  const networks = { [named]: '10.213.7', default: '10.213.8' };
  before(() => {
    for (const [name, subnet] of Object.entries(networks)) {
      defined('net-create', networkXml(name, subnet));
    }
  });
  after(() => {
    for (const name of Object.keys(networks)) besideLxc('virsh', '-c', lxc.uri, 'net-destroy', name);
  });

  const FACTS = {
    links: 'ls /sys/class/net | tr "\\n" " "',
    address: `ip -4 -o address show dev eth0 | tr -s ' ' | cut -d' ' -f4`,
    gateway: `ip route show default | cut -d' ' -f3`,
    names: 'grep nameserver /etc/resolv.conf',
  } as const;

  it('writes its name servers to no directory of the host, where an earlier run has left links', async () => {
    const shelf = mkdtempSync('/var/tmp/virt-sandbox-hostile-names-');
    try {
      mkdirSync(join(shelf, 'shared/dir'), { recursive: true });
      const kept = `--overlay=${shelf}/kept`;
      const links = ['/var/run/name /etc/resolv.conf', '/mnt/dir /var/run'];
      const left = links.map((words) => `rm -rf ${words.split(' ')[1]}; ln -s ${words}`).join('; ');
      assert.equal((await askInside(lxc, [kept], { left: `${left}; readlink /var/run` })).left, '/mnt/dir');
      const args = ['-c', lxc.uri, kept, '-m', `host-bind:/mnt=${shelf}/shared`, '-N', `dhcp,source=${named}`];
      const result = await runSandbox([...args, '--', 'readlink', '/etc/resolv.conf'], lxc.options);
      assert.deepEqual([result.code, result.out], [0, '/var/run/name\n'], result.stderr);
      assert.match(result.stderr, /\/mnt\/dir\/name, where \/etc\/resolv.conf leads, does not exist/);
      assert.deepEqual(readdirSync(join(shelf, 'shared/dir')), []);
    } finally {
      rmSync(shelf, { recursive: true });
    }
  });

  it('is that of an image, too, whose name servers are in a file that it lacks', {
    skip: unlessBusyboxImage,
  }, async (t) => {
    const args = ['-c', lxc.uri, '--root', scratchImage(t), '-N', `dhcp,source=${named}`];
    const facts = { names: FACTS.names, reach: 'busybox nc -w 3 10.213.7.1 53 </dev/null && echo reached' };
    const how = { ...lxc.options, env: { XDG_CACHE_HOME: scratchDirectory(t) }, shell: ['/bin/sh'] };
    assert.deepEqual(await ask(args, facts, how), { names: 'nameserver 10.213.7.1', reach: 'reached' });
  });

  it('gets an address, a route and a name server by DHCP', async () => {
    const name = uniqueName();
    const found = await askInside(lxc, ['-n', name, '-N', `dhcp,source=${named}`], {
      ...FACTS,
      // The network's DHCP server answers there.
      reach: 'busybox nc -w 3 10.213.7.1 53 </dev/null && echo reached',
    });
    assert.equal(found.links.trim(), 'eth0 lo');
    assert.match(found.address, /^10\.213\.7\.(5\d|60)\/24$/);
    assert.equal(found.names, 'nameserver 10.213.7.1');
    assert.equal(found.reach, 'reached');
    await assertNothingLeft(name, lxc.where);
  });

  it('uses libvirt’s default network when none is named', async () => {
    const found = await askInside(lxc, ['-N', 'dhcp'], FACTS);
    assert.match(found.address, /^10\.213\.8\.(5\d|60)\/24$/);
  });

  it('has the hardware address, addresses and routes of the options', async () => {
    const nic = `source=${named},mac=52:54:00:12:34:56,address=10.213.7.9/24,address=fd00:7::9/64,route=192.0.2.0/24%10.213.7.1`;
    const found = await askInside(lxc, ['-N', nic], {
      mac: 'cat /sys/class/net/eth0/address',
      four: FACTS.address,
      six: `ip -6 -o address show dev eth0 scope global | tr -s ' ' | cut -d' ' -f4`,
      route: 'ip route show 192.0.2.0/24',
    });
    assert.equal(found.mac, '52:54:00:12:34:56');
    assert.equal(found.four, '10.213.7.9/24');
    assert.equal(found.six, 'fd00:7::9/64');
    assert.match(found.route, /^192\.0\.2\.0\/24 via 10\.213\.7\.1 dev eth0/);
  });

  it('has several interfaces in their order', async () => {
    const route = 'route=0.0.0.0/0%10.213';
    const args = [
      '-N',
      `source=${named},address=10.213.7.11,${route}.7.1`,
      '-N',
      `source=default,address=10.213.8.11,${route}.8.1`,
    ];
    const found = await askInside(lxc, args, {
      defaults: 'ip route show default',
      first: `ip -4 -o address | grep 10.213.7.11 | cut -d' ' -f2`,
      second: `ip -4 -o address | grep 10.213.8.11 | cut -d' ' -f2`,
    });
    assert.deepEqual(found, {
      defaults: 'default via 10.213.7.1 dev eth0 proto static',
      first: 'eth0',
      second: 'eth1',
    });
  });

  it('applies a filter and resolves names on a root with busybox only', { skip: unlessBusybox }, async (t) => {
    const filter = `block-${named}`;
    defined('nwfilter-define', filterXml(filter));
    t.after(() => besideLxc('virsh', '-c', lxc.uri, 'nwfilter-undefine', filter));
    const root = makeRoot(t, 'dev', 'proc', 'sys', 'tmp', 'run', 'etc');
    writeFileSync(join(root, 'etc/resolv.conf'), 'nameserver 192.0.2.1\n');
    const tryPort = (port: number) => `busybox nc -w 2 10.213.7.1 ${port} </dev/null && echo open`;
    const facts = {
      names: 'busybox cat /etc/resolv.conf',
      lookUp: 'busybox nslookup server.lxc.test | busybox grep -A1 "^Name" | busybox grep -o "Address.*"',
      // The name server also listens there.
      dns: tryPort(53),
      other: tryPort(54),
    };
    const args = ['-c', lxc.uri, '-r', root, '-N', `dhcp,source=${named},filter=${filter},filter.blocked=53`];
    const found = await ask(args, facts, { ...lxc.options, shell: ['/bin/busybox', 'sh'] });
    assert.equal(found.names, 'search lxc.test\nnameserver 10.213.7.1');
    assert.equal(found.lookUp, 'Address: 10.213.7.1');
    assert.doesNotMatch(found.dns, /open|refused/);
    assert.match(found.other, /refused/);
  });

  it('is refused when it does not exist', async () => {
    const result = await runSandbox(['-c', lxc.uri, '-N', 'dhcp,source=no-such-net', '--', 'true'], lxc.options);
    assertFailure(result, /no-such-net/);
  });
});
