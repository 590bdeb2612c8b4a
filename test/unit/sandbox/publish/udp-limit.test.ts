/** How many clients of published UDP ports are carried, beside those of TCP. */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { constants } from 'node:os';
import { describe, type TestContext, test } from 'node:test';
import type { PublishedPort } from '../../../../src/sandbox/publish/published-port.js';
import { client, countsConnections, turn } from './clients.js';
import type { PlayedGuest } from './guest.js';
import { hears, published, UdpClient } from './udp-clients.js';

const { ECONNREFUSED } = constants.errno;
/** Clients of UDP that are carried at once, of a port or of all, and clients of all kinds. */
const [CLIENTS, CARRIED] = [64, 128];
/** Clients are looked at every five seconds. */
const LOOK_MS = 5000;
const MINUTE = 12;

async function fillByTcp(t: TestContext, guest: PlayedGuest): Promise<{ port: PublishedPort; sockets: Socket[] }> {
  const port = await guest.publisher.publish(80, {});
  t.after(() => port.close());
  const sockets = await Promise.all(Array.from({ length: CARRIED }, () => client(t, port)));
  await guest.program(CARRIED);
  return { port, sockets };
}

/** What was sent before it has been received by then. */
async function exchange(guest: PlayedGuest, known: UdpClient, word: string): Promise<void> {
  await known.send(word);
  await hears(guest, await guest.program(1), word);
}

/** A datagram that was sent is read in this turn of the event loop or in the next. */
async function turns(): Promise<void> {
  await turn();
  await turn();
}

describe('clients of published UDP ports', () => {
  test('64 clients: another takes the place of the one that was silent for longest, after a second', async (t) => {
    let now = 0;
    t.mock.method(performance, 'now', () => now);
    const { guest, port } = await published(t);
    const clients: UdpClient[] = [];
    for (let count = 1; count <= CLIENTS; count += 1) {
      const client = new UdpClient(t, port);
      clients.push(client);
      await client.send('hello');
      await guest.program(count);
    }
    await clients[0]?.send('again');
    await hears(guest, await guest.program(1), 'again');
    const late = new UdpClient(t, port);
    now = 999;
    await late.send('too early');
    // What comes behind it is answered, and it was not.
    await clients[0]?.send('at 999');
    await hears(guest, await guest.program(1), 'at 999');
    assert.equal(guest.programs.length, CLIENTS);
    now = 1000;
    await late.send('in time');
    await guest.until(() => guest.killed.length > 0);
    assert.deepEqual(guest.killed, [2]);
    guest.programs[1]?.exit(constants.signals.SIGKILL);
    await hears(guest, await guest.program(CLIENTS + 1), 'in time');
  });

  test('one whose program has failed makes room as any other', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    let now = 0;
    t.mock.method(performance, 'now', () => now);
    const { guest, port } = await published(t);
    for (let count = 1; count <= CLIENTS; count += 1) {
      await new UdpClient(t, port).send('hello');
      await guest.program(count);
    }
    guest.programs[0]?.fail(ECONNREFUSED);
    await guest.until(() => guest.killed.length > 0);
    now = 1000;
    for (const count of [1, 2]) {
      const late = new UdpClient(t, port);
      await late.send(`late ${count}`);
      await guest.until(() => guest.killed.includes(count));
      if (count > 1) guest.programs[count - 1]?.exit(constants.signals.SIGKILL);
      await hears(guest, await guest.program(CLIENTS + count), `late ${count}`);
    }
    assert.deepEqual(guest.killed, [1, 2]);
  });

  test('clients of all ports together have 64 programs', async (t) => {
    const { guest, port } = await published(t);
    const second = await guest.publisher.publish(54, { protocol: 'udp' });
    t.after(() => second.close());
    const known = new UdpClient(t, port);
    await known.send('hello');
    for (let count = 2; count <= CLIENTS; count += 1) {
      await new UdpClient(t, count % 2 === 0 ? second : port).send('hello');
      await guest.program(count);
    }
    await new UdpClient(t, port).send('waits');
    await new UdpClient(t, port).send('waits too');
    await exchange(guest, known, 'all wait');
    assert.equal(guest.programs.length, CLIENTS);
    guest.programs[1]?.fail(ECONNREFUSED);
    await hears(guest, await guest.program(CLIENTS + 1), 'waits');
    await exchange(guest, known, 'one waits');
    assert.equal(guest.programs.length, CLIENTS + 1);
    // Half of the places are left for connections.
    const tcp = await guest.publisher.publish(80, {});
    t.after(() => tcp.close());
    await client(t, tcp);
    assert.deepEqual((await guest.program(CLIENTS + 2)).argv, ['connect', '80']);
  });

  test('one that waits ends no connection', async (t) => {
    t.mock.timers.enable({ apis: ['setInterval'] });
    const { guest, port } = await published(t);
    const known = new UdpClient(t, port);
    await known.send('hello');
    await guest.program(1);
    const tcp = await guest.publisher.publish(80, {});
    t.after(() => tcp.close());
    await Promise.all(Array.from({ length: CARRIED - 1 }, () => client(t, tcp)));
    await guest.program(CARRIED);
    const waiting = new UdpClient(t, port);
    // Neither of the two is over: datagrams come.
    for (let looks = 0; looks < 2 * MINUTE; looks += 1) {
      await waiting.send('waits');
      await exchange(guest, known, `look ${looks}`);
      t.mock.timers.tick(LOOK_MS);
    }
    await exchange(guest, known, 'last');
    assert.deepEqual(guest.killed, []);
    assert.equal(guest.programs.length, CARRIED);
  });

  test('one that waits leaves the place of a connection to the connections that wait', async (t) => {
    const open = countsConnections(t);
    const { guest, port } = await published(t);
    const { port: tcp } = await fillByTcp(t, guest);
    const waiting = new UdpClient(t, port);
    await waiting.send('waits');
    await turns();
    await client(t, tcp);
    await open(CARRIED + 1);
    for (const [count, argv] of [
      [1, ['connect', '80']],
      [2, ['connect-udp', '53']],
    ] as const) {
      guest.programs[count]?.fail(ECONNREFUSED);
      assert.deepEqual((await guest.program(CARRIED + count)).argv, argv);
    }
  });

  test('one that waited for most of a minute has another one', async (t) => {
    t.mock.timers.enable({ apis: ['setInterval'] });
    const { guest, port } = await published(t);
    const { sockets } = await fillByTcp(t, guest);
    const waiting = new UdpClient(t, port);
    await waiting.send('waits');
    await turns();
    t.mock.timers.tick((MINUTE - 1) * LOOK_MS);
    guest.programs[0]?.fail(ECONNREFUSED);
    await hears(guest, await guest.program(CARRIED + 1), 'waits');
    t.mock.timers.tick((MINUTE - 1) * LOOK_MS);
    // Behind what would have been killed.
    for (const socket of sockets) socket.write('behind');
    await guest.until(() => guest.programs.some(({ received }) => received.toString() === 'behind'));
    // The one that has failed: its client is reset.
    assert.deepEqual(guest.killed, [1]);
    t.mock.timers.tick(LOOK_MS);
    await guest.until(() => guest.killed.length > 1);
    assert.deepEqual(guest.killed, [1, CARRIED + 1]);
  });
});
