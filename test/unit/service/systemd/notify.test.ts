import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { Notifier } from '../../../../src/service/systemd/notify.js';
import { DatagramSocket } from '../../../helpers/datagrams.js';
import { uniqueName } from '../../../helpers/leftovers.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

/** A notifier that talks to `address`, and the troubles that it has had. */
function notifier(address: string | undefined, env: NodeJS.ProcessEnv = {}) {
  const troubles: string[] = [];
  const told = { ...env, ...(address === undefined ? {} : { NOTIFY_SOCKET: address }) };
  return { notifier: Notifier.take((message) => troubles.push(message), told), troubles, env: told };
}

function listen(context: TestContext, address = join(scratchDirectory(context), 'notify')) {
  const socket = new DatagramSocket(address);
  context.after(() => socket.close());
  return { socket, ...notifier(address) };
}

describe('a notifier', () => {
  it('tells the states, in order', async (t) => {
    const { socket, notifier, troubles } = listen(t);
    assert.ok(notifier.active);
    const calls = [
      notifier.extendTimeout(1.5),
      notifier.ready({ mainPid: 42, status: 'runs' }),
      notifier.ready(),
      notifier.watchdog(),
      notifier.status('busy'),
      notifier.stopping('ends'),
      notifier.stopping(),
    ];
    await Promise.all(calls);
    assert.deepEqual(socket.received(), [
      'EXTEND_TIMEOUT_USEC=1500',
      'READY=1\nMAINPID=42\nSTATUS=runs',
      'READY=1',
      'WATCHDOG=1',
      'STATUS=busy',
      'STOPPING=1\nSTATUS=ends',
      'STOPPING=1',
    ]);
    assert.deepEqual(troubles, []);
  });

  it('tells a reload by the clock that systemd goes by', async (t) => {
    const { socket, notifier } = listen(t);
    const clock = () => Number(process.hrtime.bigint() / 1000n);
    const before = clock();
    await notifier.reloading();
    const [, time] = /^RELOADING=1\nMONOTONIC_USEC=(\d+)$/.exec(socket.received().join()) ?? [];
    assert.ok(before <= Number(time) && Number(time) <= clock(), time);
  });

  it('talks to an abstract address', async (t) => {
    const { socket, notifier } = listen(t, `@${uniqueName()}`);
    await notifier.ready();
    assert.deepEqual(socket.received(), ['READY=1']);
  });

  it('talks to the longest path that there can be, and refuses a longer one', async (t) => {
    const directory = scratchDirectory(t);
    const longest = join(directory, 'x'.repeat(108 - directory.length - 1));
    const { socket, notifier: talker } = listen(t, longest);
    await talker.ready();
    assert.deepEqual(socket.received(), ['READY=1']);
    const { notifier: other, troubles } = notifier(`${longest}x`);
    await other.ready();
    assert.match(troubles.join(), /has no length from 2 to 108 bytes; systemd does not know the state$/);
  });

  it('lets no status be another assignment', async (t) => {
    const { socket, notifier } = listen(t);
    await notifier.status(`ok\nMAINPID=1\u2028\u001b[2J${'x'.repeat(10_000)}`);
    const [text = ''] = socket.received();
    assert.match(text, /^STATUS=ok\\nMAINPID=1\\u\{2028\}\\u\{1b\}\[2Jx+$/);
    assert.ok(text.length < 600);
  });

  it('is silent where nobody listens', async () => {
    for (const address of [undefined, '']) {
      const { notifier: talker, troubles } = notifier(address, { WATCHDOG_USEC: '1000000' });
      assert.equal(talker.active, false);
      assert.equal(talker.watchdogInterval, undefined);
      await talker.ready();
      assert.deepEqual(troubles, []);
    }
  });

  it('takes the variables away', () => {
    const { env } = notifier('/run/x', { WATCHDOG_USEC: '1', WATCHDOG_PID: '2', PATH: '/bin' });
    assert.deepEqual(env, { PATH: '/bin' });
  });

  for (const [usec, pid, interval] of [
    ['10000000', String(process.pid), 2500],
    ['3', undefined, 0.00075],
    ['10000000', String(process.pid + 1), undefined],
    ['0', undefined, undefined],
    ['-5', undefined, undefined],
    ['1e9', undefined, undefined],
    ['9'.repeat(30), undefined, undefined],
    ['18446744073709551615', undefined, undefined],
  ] as const)
    it(`a watchdog of ${usec} µs for process ${pid ?? 'unknown'}`, () => {
      const { notifier: talker } = notifier('/run/x', { WATCHDOG_USEC: usec, ...(pid && { WATCHDOG_PID: pid }) });
      assert.equal(talker.watchdogInterval, interval);
    });

  it('goes on where the socket is missing or none, and says so once', async (t) => {
    const directory = scratchDirectory(t);
    execFileSync('mkfifo', [join(directory, 'fifo')]);
    mkdirSync(join(directory, 'directory'));
    symlinkSync('circle', join(directory, 'circle'));
    for (const [name, why] of [
      ['missing', 'takes no message: ENOENT'],
      ['fifo', 'takes no message: ECONNREFUSED'],
      ['directory', 'takes no message: ECONNREFUSED'],
      ['circle', 'takes no message: ELOOP'],
    ] as const) {
      const { notifier: talker, troubles } = notifier(join(directory, name));
      await talker.ready();
      await talker.watchdog();
      assert.deepEqual(troubles, [`NOTIFY_SOCKET, "${directory}/${name}", ${why}; systemd does not know the state`]);
    }
    for (const address of ['vsock:2:1234', 'relative', '@']) {
      const { notifier: talker, troubles } = notifier(address);
      await talker.ready();
      await talker.ready();
      assert.equal(troubles.length, 1);
    }
  });

  it('tells again once the socket is back', async (t) => {
    const directory = scratchDirectory(t);
    const address = join(directory, 'notify');
    const { notifier: talker, troubles } = notifier(address);
    await talker.ready();
    const socket = new DatagramSocket(address);
    await talker.status('back');
    assert.deepEqual(socket.received(), ['STATUS=back']);
    rmSync(address);
    socket.close();
    await talker.ready();
    assert.equal(troubles.length, 2);
  });

  it('waits for a reader that is late, but not for one that never reads', async (t) => {
    const { socket, notifier, troubles } = listen(t);
    // More than the kernel keeps for a socket.
    const calls = Array.from({ length: 200 }, (_, index) => notifier.status(String(index)));
    const read: string[] = [];
    let told = false;
    void Promise.all(calls).then(() => {
      told = true;
    });
    while (!told) {
      await new Promise((resolve) => setImmediate(resolve));
      read.push(...socket.received());
    }
    read.push(...socket.received());
    assert.deepEqual(
      read,
      calls.map((_, index) => `STATUS=${index}`),
    );
    assert.deepEqual(troubles, []);
    const before = performance.now();
    await Promise.all(Array.from({ length: 200 }, () => notifier.watchdog()));
    assert.ok(performance.now() - before < 30_000);
    assert.match(troubles.join(), /takes no message: EAGAIN; systemd does not know the state$/);
  });

  it('leaves no descriptor open', async (t) => {
    const { socket, notifier } = listen(t);
    await notifier.ready();
    const open = () => readdirSync('/proc/self/fd').length;
    const before = open();
    for (let count = 0; count < 100; count += 1) {
      await notifier.watchdog();
      socket.received();
    }
    assert.ok(open() < before + 50);
  });
});
