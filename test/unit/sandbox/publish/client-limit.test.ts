/** How many clients of published ports are carried, and which of them must go. */
import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { constants } from 'node:os';
import { describe, test } from 'node:test';
import { STDIN_WINDOW_BYTES } from '../../../../src/protocol/wire.js';
import { client, countsConnections, endOf, fillOutput, published, turn } from './clients.js';

const { ECONNREFUSED } = constants.errno;
/** Connections of a sandbox that are carried at once, and sockets of a port. */
const [CARRIED, SOCKETS] = [128, 512];
/** Clients are looked at every five seconds. */
const LOOK_MS = 5000;
const [MINUTE, TEN_MINUTES] = [12, 120];

describe('clients of published ports', () => {
  test('a flood: 128 at once, the others in turn, and no more than 512', async (t) => {
    const { guest, port } = await published(t);
    const sockets = await Promise.all(Array.from({ length: SOCKETS }, () => client(t, port)));
    await guest.until(() => guest.programs.length === CARRIED);
    // Turned away.
    assert.equal(await endOf(connect(port.hostPort, port.address)), 'end');
    assert.equal(guest.programs.length, CARRIED);
    // One that leaves before its turn is never carried; one that ends makes room.
    sockets.at(-1)?.resetAndDestroy();
    for (const socket of sockets.slice(CARRIED, -1)) socket.end('late');
    for (let count = CARRIED + 1; count < SOCKETS; count += 1) {
      const program = await guest.program(count - CARRIED);
      if (count > 2 * CARRIED) await guest.until(() => program.stdinEnded);
      program.endOutput();
      program.exit();
    }
    await guest.program(SOCKETS - 1);
    // Room for the one that has left, and for one that comes now.
    for (const count of [SOCKETS - CARRIED, SOCKETS - CARRIED + 1]) guest.programs[count - 1]?.fail(ECONNREFUSED);
    (await client(t, port)).end('newcomer');
    await guest.until(() => guest.programs.at(-1)?.received.toString() === 'newcomer');
    assert.equal(guest.programs.length, SOCKETS);
  });

  test('the limit is for all ports of a sandbox together', async (t) => {
    const { guest, port } = await published(t);
    const second = await guest.publisher.publish(81, {});
    t.after(() => second.close());
    await Promise.all(Array.from({ length: CARRIED }, () => client(t, port)));
    await guest.until(() => guest.programs.length === CARRIED);
    await client(t, second);
    (await guest.program(1)).fail(ECONNREFUSED);
    await guest.program(CARRIED + 1);
  });

  test('one that leaves while its program is started keeps its place until that has ended', async (t) => {
    const open = countsConnections(t);
    const { guest, port } = await published(t);
    guest.isSlow = true;
    const leaving = await Promise.all(Array.from({ length: CARRIED }, () => client(t, port)));
    await guest.until(() => guest.programs.length === CARRIED);
    const next = await client(t, port);
    for (const socket of leaving) socket.resetAndDestroy();
    await open(1);
    assert.equal(guest.programs.length, CARRIED);
    guest.isSlow = false;
    await guest.until(() => guest.killed.length === CARRIED);
    assert.equal(guest.programs.length, CARRIED);
    guest.programs[0]?.exit(constants.signals.SIGKILL);
    next.end('next');
    await guest.until(() => guest.programs.at(-1)?.received.toString() === 'next');
    assert.equal(guest.programs.length, CARRIED + 1);
  });

  test('a reset of one that is not read is seen', async (t) => {
    t.mock.timers.enable({ apis: ['setInterval'] });
    const { guest, port } = await published(t);
    const socket = await client(t, port);
    const program = await guest.program(1);
    socket.write(Buffer.alloc(64 << 20));
    await guest.until(() => program.received.length === STDIN_WINDOW_BYTES);
    // What comes of it is answered by this process: it has read what it can by then.
    (await client(t, port)).end();
    const second = await guest.program(2);
    await guest.until(() => second.stdinEnded);
    socket.resetAndDestroy();
    // Long before it would be given up.
    for (let looks = 0; looks < MINUTE && guest.killed.length === 0; looks += 1) {
      t.mock.timers.tick(LOOK_MS);
      await turn();
    }
    assert.deepEqual(guest.killed, [1]);
  });

  test('one whose bytes nobody takes is reset after ten minutes', async (t) => {
    t.mock.timers.enable({ apis: ['setInterval'] });
    const { guest, port } = await published(t);
    const [stuck, idle] = [await client(t, port), await client(t, port)];
    const program = await guest.program(1);
    await guest.program(2);
    // The guest takes a window of them, and no more.
    stuck.write(Buffer.alloc(64 << 20));
    await guest.until(() => program.received.length === STDIN_WINDOW_BYTES);
    let isOver = false;
    const ended = endOf(stuck).finally(() => (isOver = true));
    for (let looks = 0; !isOver; looks += 1) {
      assert.ok(looks < 2 * TEN_MINUTES, 'it goes on');
      t.mock.timers.tick(LOOK_MS);
      await turn();
      assert.ok(!isOver || looks >= TEN_MINUTES - 1, `after ${looks} looks`);
    }
    assert.equal(await ended, 'ECONNRESET');
    await guest.until(() => guest.killed.length > 0);
    assert.deepEqual(guest.killed, [1]);
    assert.equal(idle.destroyed, false);
  });

  test('the one that is idle for the longest time makes room, after a minute', async (t) => {
    t.mock.timers.enable({ apis: ['setInterval'] });
    const open = countsConnections(t);
    const { guest, port } = await published(t);
    const sockets: Socket[] = [];
    for (let count = 1; count <= CARRIED; count += 1) {
      sockets.push(await client(t, port));
      await guest.program(count);
    }
    // Nobody waits.
    t.mock.timers.tick(2 * MINUTE * LOOK_MS);
    const busy = guest.programs[0] ?? assert.fail();
    sockets[0]?.write('busy');
    await guest.until(() => busy.received.length > 0);
    t.mock.timers.tick(2 * MINUTE * LOOK_MS);
    assert.equal(guest.killed.length, 0);
    const next = await client(t, port);
    next.write('next');
    await open(CARRIED + 1);
    t.mock.timers.tick(LOOK_MS);
    assert.equal(await endOf(sockets[1] ?? assert.fail()), 'ECONNRESET');
    // Its program has not ended yet.
    t.mock.timers.tick(LOOK_MS);
    assert.deepEqual(guest.killed, [2]);
    guest.programs[1]?.exit(constants.signals.SIGKILL);
    await guest.until(() => guest.programs.at(-1)?.received.toString() === 'next');
  });

  test('one that carries something within a minute makes no room', async (t) => {
    t.mock.timers.enable({ apis: ['setInterval'] });
    const open = countsConnections(t);
    const { guest, port } = await published(t);
    await Promise.all(Array.from({ length: CARRIED + 1 }, () => client(t, port)));
    await open(CARRIED + 1);
    await guest.program(CARRIED);
    t.mock.timers.tick((MINUTE - 1) * LOOK_MS);
    assert.equal(guest.killed.length, 0);
    t.mock.timers.tick(LOOK_MS);
    await guest.until(() => guest.killed.length > 0);
    assert.equal(guest.killed.length, 1);
  });

  test('one that waited for a minute has another one when it is carried', async (t) => {
    t.mock.timers.enable({ apis: ['setInterval'] });
    const open = countsConnections(t);
    const { guest, port } = await published(t);
    const sockets: Socket[] = [];
    for (let count = 1; count <= CARRIED; count += 1) {
      sockets.push(await client(t, port));
      await guest.program(count);
    }
    const waiting = await client(t, port);
    await open(CARRIED + 1);
    // The first one makes room, but has not ended yet.
    t.mock.timers.tick(2 * MINUTE * LOOK_MS);
    await guest.until(() => guest.killed.length > 0);
    guest.programs[0]?.exit(constants.signals.SIGKILL);
    const program = await guest.program(CARRIED + 1);
    // The others are idle for less time than it has waited.
    for (const [at, socket] of sockets.entries()) if (at > 0) socket.write('busy');
    await guest.until(() => guest.programs.slice(1, CARRIED).every(({ received }) => received.length > 0));
    await client(t, port);
    await open(CARRIED + 1);
    t.mock.timers.tick(LOOK_MS);
    waiting.write('carried');
    sockets[1]?.write(' again');
    await guest.until(() => guest.programs[1]?.received.toString() === 'busy again');
    assert.deepEqual(guest.killed, [1]);
    await guest.until(() => program.received.toString() === 'carried');
  });

  test('one that does not read its bytes, or slowly, makes no room, and is reset after ten minutes', async (t) => {
    t.mock.timers.enable({ apis: ['setInterval'] });
    const open = countsConnections(t);
    const { guest, port } = await published(t);
    await client(t, port);
    await fillOutput(guest, await guest.program(1));
    // It is idle for as long as the others, and is the first of them.
    t.mock.timers.tick(LOOK_MS);
    await Promise.all(Array.from({ length: CARRIED - 1 }, () => client(t, port)));
    await guest.program(CARRIED);
    await client(t, port);
    await open(CARRIED + 1);
    t.mock.timers.tick(2 * MINUTE * LOOK_MS);
    await guest.until(() => guest.killed.length > 0);
    assert.deepEqual(guest.killed, [2]);
    t.mock.timers.tick((TEN_MINUTES - 2 * MINUTE + 1) * LOOK_MS);
    await guest.until(() => guest.killed.length > 1);
    assert.deepEqual(guest.killed, [2, 1]);
  });

  test('a program whose client has ended both ways makes room', async (t) => {
    t.mock.timers.enable({ apis: ['setInterval'] });
    const open = countsConnections(t);
    const { guest, port } = await published(t);
    const ended = await client(t, port);
    const program = await guest.program(1);
    ended.end('never read');
    program.endOutput();
    assert.equal(await endOf(ended), 'end');
    await open(0);
    t.mock.timers.tick(LOOK_MS);
    await Promise.all(Array.from({ length: CARRIED }, () => client(t, port)));
    await guest.program(CARRIED);
    await open(CARRIED);
    t.mock.timers.tick(MINUTE * LOOK_MS);
    await guest.until(() => guest.killed.length > 0);
    assert.deepEqual(guest.killed, [1]);
  });

  test('a program whose client has ended both ways is killed after ten minutes', async (t) => {
    t.mock.timers.enable({ apis: ['setInterval'] });
    const open = countsConnections(t);
    const { guest, port } = await published(t);
    const [ended, idle] = [await client(t, port), await client(t, port)];
    const program = await guest.program(1);
    await guest.program(2);
    ended.end('never read');
    program.endOutput();
    assert.equal(await endOf(ended), 'end');
    await open(1);
    t.mock.timers.tick((TEN_MINUTES - 1) * LOOK_MS);
    idle.end('idle');
    await guest.until(() => guest.programs[1]?.stdinEnded === true);
    assert.deepEqual(guest.killed, []);
    t.mock.timers.tick(2 * LOOK_MS);
    await guest.until(() => guest.killed.length > 0);
    assert.deepEqual(guest.killed, [1]);
  });

  test('a reset behind the end of what the client sends is seen', async (t) => {
    t.mock.timers.enable({ apis: ['setInterval'] });
    const { guest, port } = await published(t);
    const socket = await client(t, port);
    const program = await guest.program(1);
    await new Promise<void>((resolve) => socket.end('question', resolve));
    await guest.until(() => program.stdinEnded);
    socket.resetAndDestroy();
    for (let looks = 0; looks < MINUTE && guest.killed.length === 0; looks += 1) {
      t.mock.timers.tick(LOOK_MS);
      await turn();
    }
    assert.deepEqual(guest.killed, [1]);
  });
});
