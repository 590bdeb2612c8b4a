/**
 * Promise: a sandbox with `-N dhcp` reaches no service of its host, at no address of the host's, unless it was given
 * `host-loopback`. It does reach other hosts, and the host's name server.
 * The attacker is a program in a sandbox, also as root there with packets that no kernel would send. The victims are
 * services on the host's loopback, on another of its addresses, and on all of them.
 */

import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { valueOr } from '../../src/util/errors.js';
import { ACCEL } from '../helpers/acceleration.js';
import { embedded } from '../helpers/connections.js';
import { buildSender, frame, type Packet } from '../helpers/frames.js';
import { assertNothingLeft, qemuOf, uniqueName } from '../helpers/leftovers.js';
import { NetworkHost, PORTS } from '../helpers/network-host.js';
import { OrdinaryUser, unlessOrdinaryUser } from '../helpers/ordinary-user.js';
import { unlessBusybox } from '../helpers/roots.js';
import { assertRun, startSandbox } from '../helpers/run.js';

const MACHINE = ['-c', embedded.uri, ...ACCEL];

/** Proves that the network works: a name, and both families of another host. It comes last, so all else has passed. */
const REACH_OUTSIDE = [
  'busybox nslookup -type=a outside.test 10.0.2.3 | busybox grep -o "192.168.99.2$"',
  'busybox nc -w 9 192.168.99.2 9000 </dev/null',
  // The kernel makes an address from what the router announces, and checks for a second that it is free.
  'for i in $(busybox seq 150); do',
  '  ip -6 addr show dev eth0 scope site | grep -q tentative || ! ip -6 route | grep -q ^default || break',
  '  busybox sleep 0.1',
  'done',
  'busybox nc -w 9 fd99::2 9000 </dev/null',
].join('\n');
const OUTSIDE = '192.168.99.2\noutside\noutside\n';

/** Every address under which a guest may look for its host. */
const ADDRESSES = ['10.0.2.2', '10.77.0.1', '192.168.99.1', 'fec0::2', 'fd77::1', 'fd99::1', 'fe80::2%eth0'];

/** Tries all at once, and waits for them. What arrives is seen on the host. */
const tryAll = (addresses: readonly string[], ports: readonly number[]) =>
  [
    ...addresses.flatMap((address) => ports.map((port) => `busybox nc -w 4 ${address} ${port} </dev/null &`)),
    ...addresses.map((address) => `echo to-${address} | busybox nc -u -w 1 ${address} ${PORTS.udp} &`),
    'wait',
  ].join('\n');

const ATTACK = tryAll(ADDRESSES, [PORTS.loopback, PORTS.loopback6, PORTS.any, PORTS.second, PORTS.second6]);
/** Services of the host beside its name server, at the address that leads there. */
const BESIDE_RESOLVER = tryAll(['10.0.2.3'], [853, 8007, PORTS.any]);

const FOUR = '10.0.2.15';
const SIX = 'fec0::77';
const MULTICAST = [0x33, 0x33, 0, 0, 0, 0xfb];

/** Destinations that a kernel would not let out, or not so. */
const FORGED: readonly Packet[] = [
  ...[
    '127.0.0.1',
    '127.9.9.9',
    '0.0.0.0',
    '10.77.0.1',
    '10.77.0.255',
    '255.255.255.255',
    '10.0.2.2',
    '10.0.2.3',
  ].flatMap((to) => [
    { from: FOUR, to, port: PORTS.udp, text: `to-${to}` },
    { from: FOUR, to, port: PORTS.any },
  ]),
  ...['::1', '::', '::ffff:127.0.0.1', '::ffff:10.77.0.1', '::127.0.0.1', 'fd77::1', 'fe80::2'].flatMap((to) => [
    { from: SIX, to, port: PORTS.udp, text: `to-${to}` },
    { from: SIX, to, port: PORTS.any },
  ]),
  { from: SIX, to: 'ff02::fb', port: PORTS.udp, text: 'multicast', toMac: MULTICAST },
  { from: SIX, to: 'ff02::1', port: PORTS.udp, text: 'all nodes', toMac: MULTICAST },
  { from: '127.0.0.1', to: '127.0.0.1', port: PORTS.udp, text: 'from loopback' },
  { from: FOUR, to: '10.77.0.1', port: PORTS.udp, text: 'tagged', tag: [0x81, 0, 0, 1] },
  { from: FOUR, to: '10.77.0.1', port: PORTS.udp, text: 'fragment', fragment: 0x2000 },
];

describe('a sandbox on a network', { skip: embedded.skip || unlessBusybox }, () => {
  let host: NetworkHost;
  /** Outside /tmp, which a sandbox replaces. */
  const ground = mkdtempSync('/var/tmp/virt-sandbox-hostile-');
  const inside = (script: string) => ['--', 'sh', '-c', script];

  before(async () => {
    chmodSync(ground, 0o755);
    host = await NetworkHost.start();
  });
  after(async () => {
    await host?.end();
    rmSync(ground, { recursive: true, force: true });
  });

  it('reaches other hosts and the name server, and no service of its host, also at a new address', async (t) => {
    const later = tryAll(['10.78.0.1', 'fd78::1'], [PORTS.any]);
    const script = [
      `(${ATTACK}\n${BESIDE_RESOLVER}) >/dev/null 2>&1`,
      'echo tried',
      'read go',
      `(${later}) >/dev/null 2>&1`,
      REACH_OUTSIDE,
    ].join('\n');
    const args = [...MACHINE, '-N', 'dhcp', ...inside(script)];
    const running = startSandbox(args, { through: host.through, input: 'open' });
    t.after(() => running.child.kill('SIGTERM'));
    await running.until(/^tried\n/);
    assert.deepEqual(await host.arrived(), []);
    await host.run('ip', 'address', 'add', '10.78.0.1/32', 'dev', 'second0');
    await host.run('ip', 'route', 'add', 'local', 'fd78::/64', 'dev', 'lo');
    running.child.stdin?.end('go\n');
    const result = await running.result;
    assert.deepEqual(await host.arrived(), []);
    assertRun(result, 0, `tried\n${OUTSIDE}`);
  });

  it('reaches none as root either, with whatever packets', async () => {
    const sender = buildSender(ground);
    const frames = FORGED.map(frame).join(' ');
    const script = `${sender} eth0 ${frames} || exit\n(${ATTACK}) >/dev/null 2>&1\n${REACH_OUTSIDE}`;
    const network = ['-N', 'dhcp,mac=52:54:00:77:77:77'];
    const result = await host.sandbox([...MACHINE, '-p', ...network, ...inside(script)]);
    assert.deepEqual(await host.arrived(), []);
    assertRun(result, 0, OUTSIDE);
  });

  it('reaches none with an address of its own choice and a second interface', async () => {
    const networks = ['-N', 'address=10.77.0.9/24,route=0.0.0.0/0%10.77.0.1', '-N', 'dhcp'];
    const script = `(${ATTACK}) >/dev/null 2>&1; ${REACH_OUTSIDE}`;
    const result = await host.sandbox([...MACHINE, ...networks, ...inside(script)]);
    assert.deepEqual(await host.arrived(), []);
    assertRun(result, 0, OUTSIDE);
  });

  it('reaches none for a user without rights', { skip: unlessOrdinaryUser() }, async () => {
    const user = await OrdinaryUser.create();
    try {
      const script = `(${ATTACK}\n${BESIDE_RESOLVER}) >/dev/null 2>&1\n${REACH_OUTSIDE}`;
      const result = await host.sandbox([...MACHINE, '-N', 'dhcp', ...inside(script)], user.options);
      assert.deepEqual(await host.arrived(), []);
      assertRun(result, 0, OUTSIDE);
    } finally {
      await user.end();
    }
  });

  it('reaches them all with host-loopback, and says so by the addresses', async () => {
    const script = [
      `busybox nc -w 9 10.0.2.2 ${PORTS.loopback} </dev/null`,
      `busybox nc -w 9 10.77.0.1 ${PORTS.second} </dev/null`,
      `busybox nc -w 9 10.0.2.2 ${PORTS.any} </dev/null`,
      REACH_OUTSIDE,
      `busybox nc -w 9 fec0::2 ${PORTS.loopback6} </dev/null`,
      `busybox nc -w 9 fd77::1 ${PORTS.second6} </dev/null`,
    ].join('\n');
    const result = await host.sandbox([...MACHINE, '-N', 'dhcp,host-loopback', ...inside(script)]);
    const service = (port: number) => `service ${port}\n`;
    const [first, last] = [
      [PORTS.loopback, PORTS.second, PORTS.any],
      [PORTS.loopback6, PORTS.second6],
    ];
    assertRun(result, 0, [...first.map(service), OUTSIDE, ...last.map(service)].join(''));
    assert.deepEqual(
      await host.arrived(),
      Object.values(PORTS)
        .slice(0, 5)
        .map((port) => `tcp ${port}`),
    );
  });
});

/** A process, its children and theirs. */
function familyOf(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  return [pid, ...(children === '' ? [] : children.split(' ').flatMap((child) => familyOf(Number(child))))];
}

describe('what serves the network of a sandbox', { skip: embedded.skip }, () => {
  for (const [what, options] of [
    ['the wall and passt', 'dhcp'],
    ['passt alone', 'dhcp,host-loopback'],
  ] as const) {
    it(`runs as a user of its own, and ends when the launcher is killed: ${what}`, async (t) => {
      const name = uniqueName();
      const args = [...MACHINE, '-n', name, '-N', options, '--', 'sh', '-c', 'echo up; read line'];
      const running = startSandbox(args, { input: 'open' });
      t.after(() => running.child.kill('SIGKILL'));
      await running.until(/^up\n/);
      const status = (pid: number) => readFileSync(`/proc/${pid}/status`, 'utf8');
      const serving = familyOf(running.pid).filter((pid) => /^Name:\t(netwall|passt)/.test(status(pid)));
      assert.equal(serving.length, options === 'dhcp' ? 2 : 1);
      const qemu = /^Uid:\t(\d+)/m.exec(status(qemuOf(name) ?? 0))?.[1];
      for (const pid of serving) {
        const text = status(pid);
        const [, uid = '0'] = /^Uid:\t(\d+)/m.exec(text) ?? [];
        assert.notEqual(uid, '0');
        assert.notEqual(uid, qemu);
        assert.match(text, /^Groups:\t *$/m);
        assert.match(text, /^Seccomp:\t2$/m);
      }
      running.child.kill('SIGKILL');
      await assertNothingLeft(name);
      const isThere = (pid: number) => /^State:\t[^Z]/m.test(valueOr(() => status(pid), ''));
      for (const deadline = Date.now() + 5000; serving.some(isThere) && Date.now() < deadline; ) await sleep(20);
      assert.deepEqual(serving.filter(isThere), []);
    });
  }
});
