/** A service that was broken into, and who looks after it. */
import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { describe, it } from 'node:test';
import { embedded } from '../helpers/connections.js';
import { holdsDuring } from '../helpers/meanwhile.js';
import { AtTerminal } from '../helpers/pty.js';
import { SERVICE_PROGRAM } from '../helpers/run.js';
import { LIVES, serviceOf } from '../helpers/services.js';

const SIZE = { rows: 24, columns: 200 };
/** What a terminal acts on. */
const ESCAPES = String.raw`\033]0;title\007\033[2J\033[31mred\r\302\233`;

describe('a service that was broken into', { skip: embedded.skip }, () => {
  it('does nothing to the terminal of who reads its log or its status', async (t) => {
    const health = `printf '${ESCAPES}' >&2; [ ! -e /tmp/ill ]`;
    const service = await serviceOf(t, embedded, {
      options: ['--health', health],
      script: `printf '${ESCAPES}\\n'; echo end; exec sleep 1000`,
      keys: { healthinterval: 100 },
    });
    await service.ok(['start']);
    await service.inside('touch /tmp/ill');
    await service.until((status) => status.health?.isWell === false);
    for (const [command, pattern] of [
      ['logs', /\\u\{1b\}\]0;title\\u\{7\}\\u\{1b\}\[2J.*end/s],
      ['status', /unhealthy, \d+ failures: exit status 1; it said: .*title/],
    ] as const) {
      const terminal = new AtTerminal([command, service.name], SIZE, { program: SERVICE_PROGRAM });
      t.after(() => terminal.close());
      await terminal.until(pattern);
      await terminal.exited();
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
      assert.doesNotMatch(terminal.text, /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]/);
    }
    // A program gets the bytes.
    assert.ok((await service.run(['logs'])).stdout.includes(0x1b));
  });

  it('says why it does not start without doing anything to the terminal', async (t) => {
    const options = ['--health', `printf '${ESCAPES}'; false`];
    const script = `printf '${ESCAPES}\\n'; exec sleep 1000`;
    const service = await serviceOf(t, embedded, { options, script, keys: { starttimeout: 15_000 } });
    const { code, stderr } = await service.run(['start']);
    assert.equal(code, 125);
    assert.match(stderr, /it said: .*title/);
    assert.match(stderr, /guest: .*title/);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    assert.doesNotMatch(stderr, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
  });

  it('writes without an end, and its log and its holder stay small', async (t) => {
    const service = await serviceOf(t, embedded, {
      options: ['--health', 'yes healthy | head -c 300000; yes ill >&2'],
      script: 'while :; do head -c 1000000 /dev/zero; yes; done',
    });
    const starting = service.begin(['start']);
    const { pid = 0 } = await service.until((status) => status.pid !== undefined);
    const sizeOf = (file: string) => statSync(`${LIVES}/${service.name}/${file}`, { throwIfNoEntry: false })?.size ?? 0;
    await holdsDuring(starting.result, () => sizeOf('log.1') > 0);
    assert.ok(sizeOf('log') + sizeOf('log.1') <= 17 << 20);
    // It does not hold the others up.
    assert.equal((await service.status()).pid, pid);
    const { memory } = await service.status();
    assert.ok((memory?.holderBytes ?? 0) < 300 << 20, JSON.stringify(memory));
    await service.ok(['stop', '-t', '1']);
    const { code, stderr } = await starting.result;
    assert.equal(code, 125);
    assert.match(stderr, /was stopped while it started/);
    assert.ok(stderr.length < 4000);
  });

  it('cannot keep its holder from being stopped', async (t) => {
    const service = await serviceOf(t, embedded, { script: 'trap "" TERM; while :; do sleep 1000; done' });
    await service.ok(['start']);
    // All that could answer is gone or stopped.
    await service.run(['execute'], ['--', 'sh', '-c', 'kill -STOP -1']);
    await service.ok(['stop', '-t', '0.2']);
    assert.equal((await service.status()).state, 'stopped');
  });
});
