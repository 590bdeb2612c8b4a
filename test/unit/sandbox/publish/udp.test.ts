/** Published UDP ports: real clients, and a guest that is played. */
import assert from 'node:assert/strict';
import { Socket } from 'node:dgram';
import { constants } from 'node:os';
import { describe, test } from 'node:test';
import { datagramRecord, MOST_DATAGRAM_BYTES } from '../../../../src/sandbox/publish/datagrams.js';
import { numbers } from '../../protocol/guest.js';
import { turn } from './clients.js';
import { PlayedGuest } from './guest.js';
import { hears, published, received, UdpClient } from './udp-clients.js';

const { ECONNREFUSED } = constants.errno;
/** The longest datagram of IPv6. */
const LONGEST_BYTES = 65_527;
/** Datagrams of a client that wait for the guest. */
const WAITING = 256;
/** Clients are looked at every five seconds. */
const LOOK_MS = 5000;
const MINUTE = 12;

describe('a published UDP port', () => {
  test('is a URL', async (t) => {
    const { port } = await published(t);
    assert.equal(String(port), `udp://127.0.0.1:${port.hostPort}`);
    assert.deepEqual([port.protocol, port.guestPort, port.address], ['udp:', 53, '127.0.0.1']);
    const six = (await published(t, '::1')).port;
    assert.equal(six.href, `udp://[::1]:${six.hostPort}`);
  });

  test('carries the datagrams of each client by themselves', async (t) => {
    for (const host of ['127.0.0.1', '::1']) {
      const { guest, port } = await published(t, host);
      const [one, two] = [new UdpClient(t, port), new UdpClient(t, port)];
      await one.send('one');
      const first = await guest.program(1);
      assert.deepEqual(first.argv, ['connect-udp', '53']);
      await two.send('two');
      const second = await guest.program(2);
      await one.send('');
      await one.send('more');
      await hears(guest, first, 'more');
      assert.deepEqual(received(first), ['one', '', 'more']);
      await hears(guest, second, 'two');
      const answers = Promise.all([one.next(), two.next()]);
      // In pieces, and two in one.
      const bytes = Buffer.concat(['to one', 'again'].map((text) => datagramRecord(Buffer.from(text))));
      for (const piece of [bytes.subarray(0, 3), bytes.subarray(3, 7), bytes.subarray(7)]) first.send(piece);
      second.send(datagramRecord(Buffer.from('to two')));
      assert.deepEqual(await answers, ['to one', 'to two']);
      if (one.heard.length < 2) await one.next();
      assert.deepEqual(one.heard.map(String), ['to one', 'again']);
    }
  });

  test('the largest datagram, both ways', async (t) => {
    const { guest, port } = await published(t);
    const client = new UdpClient(t, port);
    const bytes = Buffer.alloc(MOST_DATAGRAM_BYTES, 'large');
    await client.send(bytes);
    const program = await guest.program(1);
    await hears(guest, program, bytes.toString());
    program.send(datagramRecord(bytes));
    assert.equal(await client.next(), bytes.toString());
  });

  test('one that is longer than any of IPv4 is lost alone', async (t) => {
    const { guest, port } = await published(t, '::1');
    const [client, other] = [new UdpClient(t, port), new UdpClient(t, port)];
    await client.send('before');
    const program = await guest.program(1);
    for (const size of [MOST_DATAGRAM_BYTES + 1, LONGEST_BYTES]) await client.send(Buffer.alloc(size));
    await other.send(Buffer.alloc(LONGEST_BYTES));
    await client.send('behind');
    await hears(guest, program, 'behind');
    assert.deepEqual(received(program), ['before', 'behind']);
    assert.equal(guest.programs.length, 1);
  });

  test('a program that fails is started again by a datagram a second later', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const { guest, port } = await published(t);
    const [client, other] = [new UdpClient(t, port), new UdpClient(t, port)];
    await other.send('other');
    const good = await guest.program(1);
    const fails = [
      // None is started for the second one.
      async () => guest.refuse(),
      async () => (await guest.program(3)).fail(ECONNREFUSED),
    ];
    for (const [at, fail] of fails.entries()) {
      if (at === 0) await fail();
      await client.send('one');
      await guest.program(at + 2);
      if (at > 0) await fail();
      // The failure is known behind the first of these.
      for (let count = 0; count < 20; count += 1) {
        await client.send('too early');
        await other.send(`${at} ${count}`);
        await hears(guest, good, `${at} ${count}`);
      }
      assert.equal(guest.programs.length, at + 2);
      t.mock.timers.tick(1000);
    }
    await client.send('again');
    await hears(guest, await guest.program(4), 'again');
  });

  test('a guest that sends no records loses its client, and nothing else', async (t) => {
    const { guest, port } = await published(t);
    const other = new UdpClient(t, port);
    await other.send('other');
    const good = await guest.program(1);
    for (const [at, wrong] of [
      numbers(MOST_DATAGRAM_BYTES + 1),
      numbers(0xffff_ffff, 1),
      Buffer.concat([datagramRecord(Buffer.from('good')), Buffer.alloc(40, 0xfe)]),
    ].entries()) {
      const client = new UdpClient(t, port);
      await client.send('hello');
      const program = await guest.program(at + 2);
      program.send(wrong);
      await guest.until(() => guest.killed.includes(program.number));
      program.exit(constants.signals.SIGKILL);
    }
    assert.deepEqual(guest.killed, [2, 3, 4]);
    // A record that never ends is nobody's.
    const silent = new UdpClient(t, port);
    await silent.send('hello');
    (await guest.program(5)).send(datagramRecord(Buffer.from('half')).subarray(0, 6));
    good.send(datagramRecord(Buffer.from('still here')));
    assert.equal(await other.next(), 'still here');
    assert.deepEqual(silent.heard, []);
  });

  test('a guest that floods its client lets others have their turn', async (t) => {
    const { guest, port } = await published(t);
    const [flooded, other] = [new UdpClient(t, port), new UdpClient(t, port)];
    await flooded.send('flood me');
    const flooding = await guest.program(1);
    await other.send('other');
    const program = await guest.program(2);
    let sent = 0;
    const { send } = Socket.prototype;
    t.mock.method(Socket.prototype, 'send', function (this: Socket, ...of: Parameters<typeof send>) {
      sent += 1;
      return send.apply(this, of);
    });
    // Empty datagrams.
    flooding.send(Buffer.alloc(4 * 20_000));
    program.send(datagramRecord(Buffer.from('in between')));
    assert.equal(await other.next(), 'in between');
    assert.ok(sent < 10_000, 'all of the flood came before');
  });

  test('what a guest does not take is dropped', async (t) => {
    const { guest, port } = await published(t);
    const client = new UdpClient(t, port);
    guest.isSlow = true;
    await client.send('first');
    await guest.program(1);
    // The kernel may drop some itself; it keeps a hundred.
    for (let count = 0; count < 3 * WAITING; count += 1) {
      await client.send(`datagram ${count}`);
      if (count % 16 === 0) await turn();
    }
    const other = new UdpClient(t, port);
    await other.send('behind them');
    await guest.program(2);
    guest.isSlow = false;
    await guest.until(() => guest.programs[1]?.received.length !== 0);
    assert.equal(received(await guest.program(1)).length, WAITING);
    assert.equal(received(await guest.program(1))[0], 'first');
    // There is room again.
    await client.send('last');
    await hears(guest, await guest.program(1), 'last');
  });

  test('a client is over after a minute without a datagram', async (t) => {
    t.mock.timers.enable({ apis: ['setInterval'] });
    const { guest, port } = await published(t);
    const [silent, answered] = [new UdpClient(t, port), new UdpClient(t, port)];
    await silent.send('one');
    await guest.program(1);
    await answered.send('two');
    const program = await guest.program(2);
    t.mock.timers.tick((MINUTE - 1) * LOOK_MS);
    assert.deepEqual(guest.killed, []);
    program.send(datagramRecord(Buffer.from('answer')));
    await answered.next();
    t.mock.timers.tick(2 * LOOK_MS);
    await guest.until(() => guest.killed.length > 0);
    assert.deepEqual(guest.killed, [1]);
  });

  test('ends with its sandbox, with close(), and with its signal', async (t) => {
    const { guest, port } = await published(t);
    await new UdpClient(t, port).send('hello');
    await guest.program(1);
    await port.close();
    await guest.until(() => guest.killed.length > 0);
    // It is free again.
    const abort = new AbortController();
    const same = { protocol: 'udp', hostPort: port.hostPort } as const;
    const second = await guest.publisher.publish(53, { ...same, signal: abort.signal });
    await assert.rejects(guest.publisher.publish(53, same), {
      code: 'port-taken',
      message: `UDP port ${port.hostPort} of 127.0.0.1 is taken`,
    });
    abort.abort();
    await second.closed;
    const third = await guest.publisher.publish(53, same);
    await new UdpClient(t, third).send('hello');
    await guest.program(2);
    guest.end();
    await third.closed;
    await assert.rejects(guest.publisher.publish(53, same), { code: 'sandbox-ended' });
  });

  test('refuses what it cannot listen at, and values of wrong types', async () => {
    const { publisher } = new PlayedGuest();
    await assert.rejects(publisher.publish(53, { protocol: 'udp', host: '192.0.2.1' }), { code: 'address-not-here' });
    await assert.rejects(publisher.publish(53, { protocol: 'sctp' as 'udp' }), { code: 'config-value-invalid' });
  });
});
