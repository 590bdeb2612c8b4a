/** User networking, which needs no rights on the host, and a sandbox's name servers. */

import assert from 'node:assert/strict';
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { embedded, system } from '../helpers/connections.js';
import { hidden, mounted, programPaths } from '../helpers/hide.js';
import { assertNothingLeft, uniqueName } from '../helpers/leftovers.js';
import { OrdinaryUser, unlessOrdinaryUser } from '../helpers/ordinary-user.js';
import { makeRoot, unlessBusybox } from '../helpers/roots.js';
import { assertFailure, assertRun, type RunOptions, runSandbox } from '../helpers/run.js';
import { scratchDirectory } from '../helpers/scratch.js';

/** The host, as user networking with host-loopback shows it. */
const HOST = '10.0.2.2';

/** This host's name servers that can be reached from elsewhere. */
function hostServers(): string[] {
  const lines = ['/etc/resolv.conf', '/run/systemd/resolve/resolv.conf'].map((file) => {
    try {
      return readFileSync(file, 'utf8').split('\n');
    } catch {
      return [];
    }
  });
  const servers = lines.map((list) => list.filter((line) => /^nameserver (?!127\.|::1)/.test(line)));
  return servers.find((list) => list.length > 0) ?? [];
}

describe('user networking', { skip: unlessBusybox }, () => {
  let server: Server;
  let port = 0;
  before(async () => {
    server = createServer((socket) => socket.on('error', () => {}).end('from the host\n'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    port = (server.address() as AddressInfo).port;
  });
  after(() => server?.close());

  /** What a sandbox gets, whoever serves it. */
  async function assertServed(processes: readonly string[], how: RunOptions = {}): Promise<void> {
    const name = uniqueName();
    const script = [
      `ip -4 addr show dev eth0 | grep -oE "inet [^ ]+ brd [^ ]+"`,
      'ip route show | grep -o "^default via [^ ]* dev eth0"',
      'cat /etc/resolv.conf',
      'touch /etc/resolv.conf 2>/dev/null && echo writable',
      `nc -w 5 ${HOST} ${port} </dev/null`,
      // Router advertisement adds an address some time later.
      'for i in $(seq 100); do grep -q "^fec0.* eth0" /proc/net/if_inet6 && break; sleep 0.1; done',
      'grep -c "^fec0.* eth0" /proc/net/if_inet6',
      'cat /proc/[0-9]*/comm | grep -c "^dhcp$"',
      'pidof dhcp >/dev/null && grep -E "^(Uid|CapEff|NoNewPrivs)" /proc/$(pidof dhcp)/status | tr "\\t\\n" "  "',
    ]
      .map((line) => line.replace(/\b(ip|nc|pidof) /g, 'busybox $1 '))
      .join('\n');
    const args = ['-c', embedded.uri, '-n', name, '--boot', 'cold', '-N', 'dhcp,host-loopback'];
    const result = await runSandbox([...args, '--', 'sh', '-c', `${script}; true`], how);
    assert.equal(result.code, 0, result.stderr);
    assert.deepEqual(result.out.trim().split('\n'), [
      'inet 10.0.2.15/24 brd 10.0.2.255',
      `default via ${HOST} dev eth0`,
      'nameserver 10.0.2.3',
      'writable',
      'from the host',
      '1',
      ...processes,
    ]);
    assert.equal(result.stderr, '');
    await assertNothingLeft(name);
  }

  it('embedded: sets an address, a route and a name server, and reaches the host', { skip: embedded.skip }, () =>
    // passt's lease does not end, so nothing has to renew it.
    assertServed(['0']),
  );

  it('without passt: is served by QEMU if it may reach the host, and else refused', {
    skip: embedded.skip,
  }, async () => {
    const through = hidden(...programPaths('passt'));
    const renewing = 'Uid: 65534 65534 65534 65534 CapEff: 0000000000000000 NoNewPrivs: 1';
    await assertServed(['1', renewing], { through });
    const refused = await runSandbox(['-c', embedded.uri, '-N', 'dhcp', '--', 'true'], { through });
    assertFailure(refused, /config: NIC 0 has user networking, .* passt is not in PATH; install it .*host-loopback/);
  });

  it('says at once that passt has failed', { skip: embedded.skip }, async () => {
    const failing = programPaths('passt').map((path) => `mount --bind /bin/false ${path}`);
    const through = mounted(failing.join('\n'));
    const result = await runSandbox(['-c', embedded.uri, '-N', 'dhcp', '--', 'true'], { through });
    assertFailure(result, /domain: passt, which serves the user networking, ended: without a message; /);
  });

  it('has interfaces and disks beside those that libvirt gives addresses', { skip: embedded.skip }, async (t) => {
    const networks = ['-N', 'dhcp', '-N', 'address=10.0.2.77', '--profile', 'compatible', '--boot', 'cold'];
    const script = 'busybox ip -4 addr | grep -oE "inet 10[^ ]+"; ls /dev/vda';
    const path = join(scratchDirectory(t), 'disk');
    writeFileSync(path, Buffer.alloc(1 << 20));
    const disk = ['--disk', `file:d=${path}`];
    const result = await runSandbox(['-c', embedded.uri, ...networks, ...disk, '--', 'sh', '-c', script]);
    assertRun(result, 0, 'inet 10.0.2.15/24\ninet 10.0.2.77/24\n/dev/vda\n');
  });

  it('system: a second interface with a static address gets the host’s name servers', {
    skip: system.skip,
  }, async () => {
    const networks = [
      '-N',
      'dhcp',
      '-N',
      'address=10.0.2.77,mac=52:54:00:77:77:77,route=10.9.0.0/16%10.0.2.2,route=0.0.0.0/0%10.0.2.3',
    ];
    const script = [
      'grep -l 52:54:00:77:77:77 /sys/class/net/*/address | cut -d/ -f5',
      'busybox ip -4 addr show dev eth1 | grep -o "inet [^ ]*"',
      'busybox ip route | grep -o "^default via [^ ]* dev [^ ]*"',
      'busybox ip route | grep -o "^10.9.0.0/16 via 10.0.2.2 dev eth1"',
      'grep nameserver /etc/resolv.conf',
    ].join('\n');
    const result = await runSandbox(['-c', system.uri, ...networks, '--', 'sh', '-c', script]);
    const servers = ['nameserver 10.0.2.3', ...hostServers()].slice(0, 3);
    assertRun(
      result,
      0,
      [
        'eth1',
        'inet 10.0.2.77/24',
        'default via 10.0.2.2 dev eth0',
        '10.9.0.0/16 via 10.0.2.2 dev eth1',
        ...servers,
        '',
      ].join('\n'),
    );
  });

  it('session: works for a user without rights', { skip: unlessOrdinaryUser() }, async () => {
    const user = await OrdinaryUser.create();
    try {
      const args = [
        '-c',
        'qemu:///session',
        '-N',
        'dhcp,host-loopback',
        '--',
        'busybox',
        'nc',
        '-w',
        '5',
        HOST,
        String(port),
      ];
      assertRun(await runSandbox(args, user.options), 0, 'from the host\n');
      const refused = ['-c', 'qemu:///session', '-N', 'source=default,dhcp', '--', 'true'];
      assertFailure(await runSandbox(refused, user.options), /NIC 0 .*"default".*qemu:\/\/\/session has no networks/);
    } finally {
      await user.end();
    }
  });
});

describe('name servers', { skip: embedded.skip || unlessBusybox }, () => {
  const show = ['--', '/bin/sh', '-c', 'busybox cat /etc/resolv.conf; busybox ls /etc'];

  it('are written where a symbolic link leads, into a directory that starts empty', async (t) => {
    const root = makeRoot(t, 'dev', 'proc', 'sys', 'tmp', 'run', 'etc', 'var');
    symlinkSync('../run', `${root}/var/run`);
    symlinkSync('../var/run/systemd/resolve/stub-resolv.conf', `${root}/etc/resolv.conf`);
    const result = await runSandbox(['-c', embedded.uri, '--root', root, '-N', 'dhcp', ...show]);
    assertRun(result, 0, 'nameserver 10.0.2.3\nresolv.conf\n');
  });

  it('cannot be set on a root without the file: a warning says so while the command runs', async (t) => {
    const root = makeRoot(t, 'dev', 'proc', 'sys', 'tmp', 'run', 'etc');
    const result = await runSandbox([
      '-c',
      embedded.uri,
      '--root',
      root,
      '-N',
      'dhcp',
      '--',
      '/bin/sh',
      '-c',
      'echo ran',
    ]);
    assertRun(
      result,
      0,
      'ran\n',
      'virt-sandbox: warning: /etc/resolv.conf does not exist in the root, so the name servers (10.0.2.3) cannot be set; ' +
        'make an empty file there\n',
    );
  });

  it('are written into an in-memory /etc', async (t) => {
    const root = makeRoot(t, 'dev', 'proc', 'sys', 'tmp', 'run', 'etc');
    const result = await runSandbox(['-c', embedded.uri, '--root', root, '-m', 'ram:/etc/=1M', '-N', 'dhcp', ...show]);
    assertRun(result, 0, 'nameserver 10.0.2.3\nresolv.conf\n');
  });
});

describe('invalid networks', { skip: embedded.skip }, () => {
  for (const [what, args, told] of [
    ['a filter', ['-N', 'dhcp,filter=clean-traffic'], /NIC 0 has the filter "clean-traffic" and user networking/],
    ['a limit', ['-N', 'dhcp', '--net-limit', '0:inbound.average=10'], /--net-limit 0 is for an interface with user/],
    [
      'a hardware address twice',
      ['-N', 'dhcp,mac=52:54:00:00:00:aa', '-N', 'dhcp,mac=52:54:00:00:00:AA'],
      /NIC 0 and NIC 1 have the same hardware address/,
    ],
    [
      'a network',
      ['-N', 'source=default,dhcp'],
      /NIC 0 .*"default".*qemu:\/\/\/embed has no networks of its own; .*qemu:\/\/\/system, start virtnetworkd/,
    ],
  ] as const) {
    it(`are refused before anything is started: ${what}`, async () => {
      assertFailure(await runSandbox(['-c', embedded.uri, ...args, '--', 'true']), told);
    });
  }
});
