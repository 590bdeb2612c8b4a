/** The DHCP client: it parses server replies, built with sanitizers, and renews a lease. */

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { parseLease } from '../../../../init/common/dhcp-lease.js';
import { randomNumbers } from '../../../fuzz/random.js';
import { REPOSITORY } from '../../../helpers/run.js';
import { unlessRoot } from '../../../helpers/scratch.js';

const CLIENT = `${REPOSITORY}build/native/dhcp-asan`;
const COOKIE = [99, 130, 83, 99];
const MAC = [2, 0, 0, 0, 0, 1];
const ACK = [53, 1, 5];
const SERVER = [54, 4, 10, 0, 0, 1];

interface Reply {
  readonly options: readonly number[];
  readonly sname?: readonly number[];
  readonly file?: readonly number[];
}

/** A server's reply to the client that `--read` plays. */
function reply({ options, sname = [], file = [] }: Reply): Buffer {
  const message = Buffer.alloc(240);
  message[0] = 2;
  message.set([10, 0, 0, 7], 16);
  message.set(MAC, 28);
  message.set(sname, 44);
  message.set(file, 108);
  message.set(COOKIE, 236);
  return Buffer.concat([message, Buffer.from(options)]);
}

function read(message: Buffer): { readonly status: number | null; readonly out: string; readonly stderr: string } {
  const { status, stdout, stderr } = spawnSync(CLIENT, ['--read'], { input: message, encoding: 'utf8' });
  return { status, out: stdout, stderr };
}

const FIRST_LINES = 'address=10.0.0.7\nprefix=8\n';

for (const [what, given, expected] of [
  ['a lease without anything', { options: [...ACK, 255] }, FIRST_LINES],
  ['a mask', { options: [...ACK, 1, 4, 255, 255, 240, 0, 255] }, 'address=10.0.0.7\nprefix=20\n'],
  ['padding before options', { options: [0, 0, ...ACK, 0, ...SERVER, 255] }, `${FIRST_LINES}server=10.0.0.1\n`],
  ['no end', { options: [...ACK, ...SERVER] }, `${FIRST_LINES}server=10.0.0.1\n`],
  ['an option that is cut off', { options: [...ACK, 54, 4, 10, 0] }, FIRST_LINES],
  ['an option of the wrong size', { options: [...ACK, 54, 3, 10, 0, 0, 255] }, FIRST_LINES],
  [
    'routers, routes, name servers, MTU and lease',
    {
      options: [
        ...[...ACK, 3, 4, 10, 0, 0, 1, 6, 8, 10, 0, 0, 2, 10, 0, 0, 3, 26, 2, 5, 120, 51, 4, 0, 0, 14, 16],
        ...[121, 14, 0, 10, 0, 0, 1, 16, 10, 9, 10, 0, 0, 4, 33, 1, 255],
      ],
    },
    `${FIRST_LINES}router=10.0.0.1\nroute=0.0.0.0/0 10.0.0.1\nroute=10.9.0.0/16 10.0.0.4\ndns=10.0.0.2\ndns=10.0.0.3\nmtu=1400\nlease=3600\n`,
  ],
  ['a lease for ever', { options: [...ACK, 51, 4, 255, 255, 255, 255, 255] }, FIRST_LINES],
  ['a domain', { options: [...ACK, 15, 5, 97, 46, 98, 45, 99, 255] }, `${FIRST_LINES}domain=a.b-c\n`],
  ['a domain with a line end in it', { options: [...ACK, 15, 3, 97, 10, 98, 255] }, FIRST_LINES],
  ['an option in two parts', { options: [...ACK, 15, 2, 97, 46, 15, 1, 98, 255] }, `${FIRST_LINES}domain=a.b\n`],
  [
    'options in the fields for names',
    { options: [...ACK, 52, 1, 3, 255], file: [15, 1, 97, 255], sname: [54, 4, 10, 0, 0, 1, 255] },
    `${FIRST_LINES}domain=a\nserver=10.0.0.1\n`,
  ],
] as const) {
  test(`reads ${what}`, () => {
    assert.deepEqual(read(reply(given)), { status: 0, out: expected, stderr: '' });
  });
}

const FOREIGN: readonly (readonly [string, (message: Buffer) => Buffer])[] = [
  ['nothing', () => Buffer.alloc(0)],
  ['half a message', (message) => message.subarray(0, 239)],
  ['a question', (message) => changed(message, 0, 1)],
  ['an answer to another exchange', (message) => changed(message, 4, 1)],
  ['an answer to another client', (message) => changed(message, 33, 9)],
  ['BOOTP without the cookie', (message) => changed(message, 236, 0)],
  ['a message without a type', (message) => message.subarray(0, 240)],
];
for (const [what, make] of FOREIGN) {
  test(`does not accept ${what} as a reply`, () => {
    assert.deepEqual(read(make(reply({ options: [...ACK, 255] }))), { status: 2, out: '', stderr: '' });
  });
}

function changed(message: Buffer, at: number, value: number): Buffer {
  const copy = Buffer.from(message);
  copy[at] = value;
  return copy;
}

test('survives random replies', () => {
  const random = randomNumbers(20_261_124);
  const bytes = (count: number) => Array.from({ length: count }, () => random(256));
  const messages = Array.from({ length: 300 }, () => {
    const message = reply({ options: [...ACK, 52, 1, 3, ...bytes(random(600)), 255] });
    for (let change = 0; change < 20; change += 1) message[44 + random(message.length - 44)] = random(256);
    message.set(COOKIE, 236);
    return message;
  });
  for (const message of messages) {
    const { status, stderr } = read(message);
    assert.ok(status === 0 || status === 2, `exit status ${status} for ${message.toString('hex')}: ${stderr}`);
  }
});

test("the client's output is parsed as a lease", () => {
  const text =
    'address=10.0.0.7\nprefix=24\nbroadcast=10.0.0.255\nrouter=10.0.0.1\nrouter=10.0.0.2\ndns=10.0.0.3\nmtu=68\n';
  assert.deepEqual(parseLease(text), {
    address: '10.0.0.7',
    prefix: 24,
    broadcast: '10.0.0.255',
    // One router is enough. An MTU too small for IPv4 is ignored.
    routes: [{ target: '0.0.0.0', prefix: 0, gateway: '10.0.0.1' }],
    nameServers: ['10.0.0.3'],
    domain: undefined,
    mtu: undefined,
  });
  assert.deepEqual(parseLease('address=10.0.0.7\nrouter=10.0.0.1\nroute=10.1.0.0/16 0.0.0.0\n').routes, [
    { target: '10.1.0.0', prefix: 16, gateway: undefined },
  ]);
});

/**
 * A veth pair in two network namespaces: a server at one end that gives leases of four seconds, the client at the
 * other.
 */
const RENEWAL = `
ip link set lo up
ip link add server type veth peer name client
unshare --net sleep 600 & there=$!
while [ "$(readlink /proc/$there/ns/net)" = "$(readlink /proc/self/ns/net)" ]; do :; done
ip link set client netns $there
ip addr add 10.7.0.1/24 dev server
ip link set server up
ip route add 255.255.255.255 dev server
nsenter -t $there -n ip link set client up
"$0" -e "$1" & served=$!
# The client must not wait for a server that starts.
until grep -q ':0043 ' /proc/net/udp; do kill -0 $served; done
nsenter -t $there -n "$2" client 20 test
nsenter -t $there -n ip addr add 10.7.0.7/24 dev client
wait $served
kill $there
`;

/**
 * Replies as briefly as a server may, and ends after two renewals of a lease, the first by broadcast. It hears nothing of
 * the first four seconds, as behind a bridge with the spanning tree protocol.
 */
const LEASES = `
const socket = require('node:dgram').createSocket({ type: 'udp4', reuseAddr: true });
let renewals = 0;
socket.on('message', (question, from) => {
  const options = new Map();
  for (let at = 240; at < question.length && question[at] !== 255; at += 2 + question[at + 1])
    options.set(question[at], [...question.subarray(at + 2, at + 2 + question[at + 1])]);
  const type = options.get(53)[0], seconds = question.readUInt16BE(8);
  if (type === 1 && seconds < 4) return;
  const current = [...question.subarray(12, 16)].join('.');
  const renewal = current !== '0.0.0.0';
  const answer = Buffer.alloc(240);
  answer.set(question.subarray(0, 44));
  answer[0] = 2;
  answer.set([10, 7, 0, 7], 16);
  answer.set([99, 130, 83, 99], 236);
  const said = [53, 1, type === 1 ? 2 : 5, 54, 4, 10, 7, 0, 1, 1, 4, 255, 255, 255, 0, 51, 4, 0, 0, 0, 4, 255];
  const words = [[...(options.get(50) ?? [])].join('.'), String.fromCharCode(...(options.get(12) ?? []))];
  console.error(type, current, ...words, ...(type === 1 ? [seconds] : []));
  socket.send(Buffer.concat([answer, Buffer.from(said)]), 68, renewal ? from.address : '255.255.255.255');
  if (renewal && ++renewals === 2) setTimeout(() => process.exit(0), 100);
});
socket.bind(67, '0.0.0.0', () => socket.setBroadcast(true));
`;

test('gets a lease and renews it without privileges', { skip: unlessRoot('makes network interfaces') }, async () => {
  const child = spawn(
    'unshare',
    [
      '--net',
      '--pid',
      '--fork',
      '--kill-child',
      '--mount-proc',
      'bash',
      '-euc',
      RENEWAL,
      process.execPath,
      LEASES,
      CLIENT,
    ],
    // unshare ignores SIGTERM.
    { stdio: ['ignore', 'pipe', 'pipe'], timeout: 60_000, killSignal: 'SIGKILL' },
  );
  let out = '';
  let heard = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    heard += text;
  });
  const code = await new Promise((resolve) => child.once('close', resolve));
  assert.equal(code, 0, `${out}\n${heard}`);
  assert.equal(out, 'address=10.7.0.7\nprefix=24\nserver=10.7.0.1\nlease=4\n');
  // DISCOVER, REQUEST for the offer, then requests from the leased address itself.
  const asked = heard.trim().split('\n');
  const [, second = 9] = /^1 0\.0\.0\.0 {2}test (\d+)$/m.exec(heard) ?? [];
  assert.ok(Number(second) < 7, heard);
  assert.ok(asked.includes('3 0.0.0.0 10.7.0.7 test'), heard);
  assert.deepEqual(asked.slice(-2), ['3 10.7.0.7  test', '3 10.7.0.7  test']);
});

test('prints its usage', () => {
  const usage = spawnSync(CLIENT, ['eth0'], { encoding: 'utf8' });
  assert.deepEqual([usage.status, usage.stdout, usage.stderr], [1, '', 'usage: dhcp INTERFACE SECONDS HOSTNAME\n']);
  const missing = spawnSync(CLIENT, ['no-such', '1', ''], { encoding: 'utf8' });
  assert.deepEqual([missing.status, missing.stdout], [1, '']);
  assert.match(missing.stderr, /no-such.*(No such device|not permitted)/);
});
