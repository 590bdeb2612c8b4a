/** The wall before passt, built with sanitizers: which frames pass, and what it does with a stream that is none. */

import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { randomNumbers } from '../../../fuzz/random.js';
import { frame } from '../../../helpers/frames.js';
import { REPOSITORY } from '../../../helpers/run.js';
import { scratchDirectory, unlessRoot } from '../../../helpers/scratch.js';

const PROGRAM = `${REPOSITORY}build/native/netwall-asan`;
const OPTIONS = ['--name', 'test', '--router', '10.0.2.2', '--resolver', '10.0.2.3'];
/** The exit status that says that netwall has failed, and not passt. */
const FAILED = 125;
/** In the place of passt: writes all that it gets to stdout. */
const COLLECT = ['/bin/sh', '-c', 'cat <&3'];

interface Wall {
  readonly child: ChildProcess;
  /** QEMU's end. */
  readonly qemu: Socket;
  readonly ended: Promise<{ readonly code: number | null; readonly out: Buffer; readonly stderr: string }>;
}

async function start(t: TestContext, passt: readonly string[], options = OPTIONS): Promise<Wall> {
  const path = join(scratchDirectory(t), 'socket');
  const server = createServer();
  await once(server.listen(path), 'listening');
  const started = new Promise<ChildProcess>((resolve) =>
    server.once('connection', (socket) => {
      const child = spawn(PROGRAM, [...options, ...passt], { stdio: [socket, 'pipe', 'pipe'] });
      socket.destroy();
      resolve(child);
    }),
  );
  const qemu = connect(path);
  const child = await started;
  server.close();
  t.after(() => child.kill('SIGKILL'));
  qemu.on('error', () => {});
  const out: Buffer[] = [];
  let stderr = '';
  child.stdout?.on('data', (chunk: Buffer) => out.push(chunk));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = once(child, 'close').then(([code]) => ({ code, out: Buffer.concat(out), stderr }));
  return { child, qemu, ended };
}

/** A frame as QEMU sends it: behind its length. */
function framed(bytes: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');
const udp = (to: string, port: number, more = {}) =>
  Buffer.from(frame({ from: to.includes(':') ? 'fec0::77' : '10.0.2.15', to, port, text: 'text', ...more }), 'hex');
const tcp = (to: string, port: number) =>
  Buffer.from(frame({ from: to.includes(':') ? 'fec0::77' : '10.0.2.15', to, port }), 'hex');

const ADDRESSES = '9a559a559a55 525400777777';
/** An ICMPv6 message of this type to all routers. */
const discovery = (type: string, to = 'ff020000000000000000000000000002') =>
  hex(`${ADDRESSES} 86dd 60000000 0008 3a ff fe800000000000005054000000000001 ${to} ${type}00 0000 00000000`);

const own = Object.values(networkInterfaces()).flatMap((cards) => cards ?? []);

const PASS: readonly (readonly [string, Buffer])[] = [
  ['ARP', hex(`ffffffffffff 525400777777 0806 ${'00'.repeat(28)}`)],
  ['DHCP to all', udp('255.255.255.255', 67)],
  ['DHCP to the router', udp('10.0.2.2', 67)],
  ['DNS', udp('10.0.2.3', 53)],
  ['DNS by TCP', tcp('10.0.2.3', 53)],
  ['another host', udp('192.0.2.1', 9)],
  ['another host by TCP', tcp('192.0.2.1', 80)],
  ['another host by IPv6', tcp('2001:db8::1', 80)],
  ['a router solicitation', discovery('85')],
  ['a neighbour solicitation', discovery('87')],
  [
    'options of IPv4',
    hex(`${ADDRESSES} 0800 46000020 00010000 4011 0000 0a00020f c0000201 01010101 12340009 0008 0000`),
  ],
  ['the longest frame', Buffer.concat([udp('192.0.2.1', 9), Buffer.alloc(65_535)]).subarray(0, 65_535)],
];

const DROP: readonly (readonly [string, Buffer])[] = [
  ['nothing', Buffer.alloc(0)],
  ['a frame that passt ends at', Buffer.concat([udp('192.0.2.1', 9), Buffer.alloc(65_536)]).subarray(0, 65_536)],
  ['less than a header', Buffer.alloc(13)],
  ['no packet', hex(`${ADDRESSES} 0800`)],
  ['a short ARP', hex(`${ADDRESSES} 0806 00`)],
  ['a VLAN', udp('192.0.2.1', 9, { tag: [0x81, 0, 0, 1] })],
  ['another protocol', hex(`${ADDRESSES} 88cc ${'00'.repeat(40)}`)],
  ['IPv6 in the type of IPv4', Buffer.concat([hex(`${ADDRESSES} 0800`), tcp('2001:db8::1', 80).subarray(14)])],
  ['IPv4 in the type of IPv6', Buffer.concat([hex(`${ADDRESSES} 86dd`), tcp('192.0.2.1', 80).subarray(14)])],
  ['a header that is too short', hex(`${ADDRESSES} 0800 44000020 00010000 4011 0000 0a00020f c0000201`)],
  ['a header that is longer than the frame', hex(`${ADDRESSES} 0800 4f000020 00010000 4011 0000 0a00020f c0000201`)],
  ['a first fragment', udp('192.0.2.1', 9, { fragment: 0x2000 })],
  ['a later fragment', udp('192.0.2.1', 9, { fragment: 1 })],
  ['another port of the router', udp('10.0.2.2', 68)],
  ['DHCP by TCP', tcp('10.0.2.2', 67)],
  ['another port of the resolver', tcp('10.0.2.3', 853)],
  ['a port of all', udp('255.255.255.255', 68)],
  ...[
    '127.0.0.1',
    '127.1.2.3',
    '0.0.0.0',
    '0.1.2.3',
    '169.254.169.254',
    '224.0.0.251',
    '239.1.2.3',
    '100.100.100.200',
    '168.63.129.16',
  ].map((to) => [to, udp(to, 80)] as const),
  ...[
    '::',
    '::1',
    '::127.0.0.1',
    '::ffff:127.0.0.1',
    '::ffff:192.0.2.1',
    'fe80::2',
    'ff02::fb',
    'ff05::2',
    'fd00:ec2::254',
  ].map((to) => [to, tcp(to, 80)] as const),
  ...own.map(({ address }) => [`this host's ${address}`, tcp(address.replace(/%.*/, ''), 80)] as const),
  ['an echo to all', discovery('80', 'ff020000000000000000000000000001')],
  ['a port of nothing', hex(`${ADDRESSES} 0800 45000014 00010000 4011 0000 0a00020f 0a000203`)],
];

test('passes what is for others, each frame as it was, and nothing that is for the host', async (t) => {
  const { qemu, ended } = await start(t, COLLECT);
  const frames = [...PASS, ...DROP, ...PASS.toReversed()].map(([, bytes]) => framed(bytes));
  qemu.end(Buffer.concat(frames));
  const { code, out, stderr } = await ended;
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
  const names = new Map([...PASS, ...DROP].map(([name, bytes]) => [framed(bytes).toString('hex'), name]));
  const passed: string[] = [];
  for (let at = 0; at < out.length; ) {
    const end = at + 4 + out.readUInt32BE(at);
    passed.push(names.get(out.subarray(at, end).toString('hex')) ?? 'a frame that was not sent');
    at = end;
  }
  const expected = [...PASS, ...PASS.toReversed()].map(([name]) => name);
  assert.deepEqual(passed, expected);
});

test('is not closed by a route that only a mark chooses, as for TPROXY', {
  skip: unlessRoot('it adds a route'),
}, async (t) => {
  const route = (action: string) =>
    spawnSync('ip', ['route', action, 'local', 'default', 'dev', 'lo', 'table', '7391']);
  if (route('add').status !== 0) return t.skip('there is no ip, or it may not add a route');
  t.after(() => route('delete'));
  const { qemu, ended } = await start(t, COLLECT);
  const sent = framed(tcp('192.0.2.1', 80));
  qemu.end(sent);
  const { code, out } = await ended;
  assert.deepEqual([code, out], [0, sent]);
});

test('passes the same however the stream is cut', async (t) => {
  const { qemu, ended } = await start(t, COLLECT);
  const random = randomNumbers(7);
  const frames = Array.from({ length: 40 }, () => [...PASS, ...DROP]).flat();
  const all = Buffer.concat(frames.map(([, bytes]) => framed(bytes)));
  for (let at = 0; at < all.length; ) {
    const end = at + 1 + random(3000);
    await new Promise((resolve) => qemu.write(all.subarray(at, end), resolve));
    at = end;
  }
  qemu.end();
  const { code, out } = await ended;
  assert.equal(code, 0);
  const expected = frames.filter((entry) => PASS.includes(entry)).map(([, bytes]) => framed(bytes));
  assert.ok(out.equals(Buffer.concat(expected)), `${out.length} bytes`);
});

test('survives whatever frames, and passes none of them to the loopback', async (t) => {
  const { qemu, ended } = await start(t, COLLECT);
  const random = randomNumbers(23);
  const frames = Array.from({ length: 5000 }, () => {
    const bytes = Buffer.from(Array.from({ length: random(80) }, () => random(256)));
    const type = [0x0800, 0x86dd, 0x0806, random(65_536)][random(4)] ?? 0;
    if (bytes.length >= 14) bytes.writeUInt16BE(type, 12);
    if (bytes.length > 34 && type === 0x0800) bytes.set([0x45, ...bytes.subarray(15, 30), 127, 0, 0, 1], 14);
    return framed(bytes);
  });
  qemu.end(Buffer.concat(frames));
  const { code, out, stderr } = await ended;
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
  assert.equal(out.includes(Buffer.from([127, 0, 0, 1])), false);
});

test('ends when QEMU sends a frame that is too long', async (t) => {
  const { qemu, ended } = await start(t, COLLECT);
  qemu.write(Buffer.from([0, 1, 0x10, 1]));
  const { code, out, stderr } = await ended;
  assert.deepEqual(
    { code, out: out.length, stderr },
    { code: FAILED, out: 0, stderr: 'QEMU sends what is no frame\n' },
  );
});

test('passes on what passt says, and ends with it', async (t) => {
  const { ended } = await start(t, ['/bin/sh', '-c', 'echo broken >&2; exit 3']);
  const { code, stderr } = await ended;
  assert.deepEqual({ code, stderr }, { code: 1, stderr: 'broken\n' });
});

test('carries what passt sends as it is', async (t) => {
  const size = 3 << 20;
  const { qemu, ended } = await start(t, ['/bin/sh', '-c', `head -c ${size} /dev/zero >&3; cat <&3`]);
  let received = 0;
  await new Promise<void>((resolve) =>
    qemu.on('data', (chunk: Buffer) => {
      received += chunk.length;
      if (received >= size) resolve();
    }),
  );
  assert.equal(received, size);
  qemu.end();
  assert.equal((await ended).code, 0);
});

test('kills a passt that does not end', async (t) => {
  const { qemu, ended } = await start(t, ['/bin/sh', '-c', 'exec sleep 1000 >/dev/null 2>&1']);
  qemu.end();
  assert.equal((await ended).code, 0);
});

test('says what is wrong with its command line', async (t) => {
  for (const options of [
    [],
    ['--open', '--router', '10.0.2.2'],
    ['--router', 'x'],
    ['--user', '1'],
    ['--wrong', 'x'],
  ]) {
    const { code, stderr } = await (await start(t, COLLECT, options)).ended;
    assert.equal(code, FAILED, options.join(' '));
    assert.match(stderr, /^usage: netwall /);
  }
  const { code, stderr } = await (await start(t, ['/nonexistent/passt'])).ended;
  assert.deepEqual({ code, stderr }, { code: 1, stderr: '/nonexistent/passt: No such file or directory\n' });
});
