/** The log of a detached sandbox: written, turned over, and read meanwhile. */
import assert from 'node:assert/strict';
import {
  appendFileSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { decodeLine, encodeLines, LOG_BYTES, type LogRecord, type ReadLogOptions } from '../../../src/control/log.js';
import { LogFile } from '../../../src/control/log-file.js';
import { LogWriter } from '../../../src/control/log-writer.js';
import { readLog } from '../../../src/control/read-log.js';
import { valueOr } from '../../../src/util/errors.js';
import { scratchDirectory } from '../../helpers/scratch.js';

async function writer(t: TestContext): Promise<{ directory: string; log: LogWriter }> {
  const directory = join(scratchDirectory(t), 'state');
  mkdirSync(directory);
  const log = await LogWriter.create(directory);
  t.after(() => log.close().catch(() => {}));
  return { directory, log };
}

/** This process has the file open, so many times. */
const isOpen = (path: string, times: number) =>
  readdirSync('/proc/self/fd').filter((fd) => valueOr(() => readlinkSync(`/proc/self/fd/${fd}`), '') === path)
    .length === times;

/** As the writer does it, which still has the old file. */
function turnOver(directory: string): void {
  renameSync(join(directory, 'log'), join(directory, 'log.1'));
  renameSync(join(directory, 'log.next'), join(directory, 'log'));
}

const reading = (directory: string, options?: ReadLogOptions) =>
  readLog({ name: 'web', stateDirectory: directory }, options);

async function all(directory: string, options?: ReadLogOptions): Promise<LogRecord[]> {
  const records: LogRecord[] = [];
  for await (const record of reading(directory, options)) records.push(record);
  return records;
}

const text = (records: readonly LogRecord[], stream = 'stdout') =>
  Buffer.concat(records.filter((one) => one.stream === stream).map(({ bytes }) => bytes)).toString('latin1');

describe('the log of a sandbox', () => {
  it('has what was written, byte for byte, by stream and time', async (t) => {
    const { directory, log } = await writer(t);
    const begun = Date.now();
    const bytes = Buffer.concat([Buffer.from([0, 1, 255, 13]), Buffer.alloc(40_000, 'x'), Buffer.from('\n\na\n b')]);
    await Promise.all([log.write('stdout', bytes), log.write('stderr', Buffer.from('e\n'))]);
    await log.write('stdout', Buffer.from('c\n'));
    const records = await all(directory);
    assert.equal(text(records), `${bytes.toString('latin1')}c\n`);
    assert.equal(text(records, 'stderr'), 'e\n');
    for (const { time } of records) assert.ok(time.getTime() >= begun && time.getTime() <= Date.now());
    assert.equal(statSync(join(directory, 'log')).mode & 0o777, 0o600);
  });

  it('is read from a time on', async (t) => {
    const { directory } = await writer(t);
    const at = (second: number) => new Date(Date.UTC(2026, 0, 1, 0, 0, second));
    for (const second of [1, 2, 3])
      appendFileSync(join(directory, 'log'), encodeLines('stdout', Buffer.from(`${second}\n`), at(second)));
    assert.equal(text(await all(directory, { since: at(2) })), '2\n3\n');
  });

  it('has two files of at most 8 MiB, with the end of all that was written', async (t) => {
    const { directory, log } = await writer(t);
    const line = Buffer.from(`${'y'.repeat(99)}\n`.repeat(160));
    for (let written = 0; written < 40 << 20; written += line.length) await log.write('stdout', line);
    await log.write('stdout', Buffer.from('end\n'));
    assert.deepEqual(readdirSync(directory).sort(), ['log', 'log.1', 'log.next']);
    assert.equal(statSync(join(directory, 'log.next')).size, 0);
    for (const name of readdirSync(directory)) assert.ok(statSync(join(directory, name)).size <= LOG_BYTES);
    const kept = text(await all(directory));
    assert.ok(kept.length > 5 << 20);
    assert.match(kept, /y\nend\n$/);
  });

  it('is followed over a turn, until it is removed', { timeout: 60_000 }, async (t) => {
    const { directory, log } = await writer(t);
    await log.write('stdout', Buffer.from('first\n'));
    const seen: string[] = [];
    const following = (async () => {
      for await (const { bytes } of reading(directory, { follow: true })) seen.push(String(bytes));
    })();
    const until = async (holds: () => boolean) => {
      while (!holds()) {
        assert.ok(!t.signal.aborted, `only ${seen.join('')} came`);
        await Promise.race([delay(10), following.then(() => assert.fail('it has ended'))]);
      }
    };
    await until(() => seen.length === 1);
    await log.write('stdout', Buffer.from('second\n'));
    turnOver(directory);
    const third = encodeLines('stdout', Buffer.from('third\n'), new Date());
    appendFileSync(join(directory, 'log'), third.subarray(0, 20));
    // The writer has it open, and the reader.
    await until(() => seen.length === 2 && isOpen(join(directory, 'log'), 2));
    appendFileSync(join(directory, 'log'), third.subarray(20));
    // Two turns at once: the reader finds both files.
    rmSync(join(directory, 'log.1'));
    renameSync(join(directory, 'log'), join(directory, 'third'));
    for (const [name, line] of [
      ['log.1', 'fourth'],
      ['log', 'fifth'],
    ] as const)
      writeFileSync(join(directory, name), encodeLines('stdout', Buffer.from(`${line}\n`), new Date()), { flag: 'w' });
    await until(() => seen.length === 5);
    rmSync(directory, { recursive: true });
    await following;
    assert.deepEqual(seen, ['first\n', 'second\n', 'third\n', 'fourth\n', 'fifth\n']);
  });

  it('is followed to its end, also if a turn is just before that', async (t) => {
    const { directory, log } = await writer(t);
    await log.write('stdout', Buffer.from('first\n'));
    const following = reading(directory, { follow: true });
    assert.equal(String((await following.next()).value?.bytes), 'first\n');
    const rest = (async () => {
      let seen = '';
      for await (const { bytes } of following) seen += String(bytes);
      return seen;
    })();
    // It looks for the next file when it has read this one.
    for (; !isOpen(join(directory, 'log.next'), 2); await delay(10)) assert.ok(!t.signal.aborted);
    // All at once, as it may be between two looks of the reader.
    turnOver(directory);
    for (const line of ['second', 'last'])
      appendFileSync(join(directory, 'log'), encodeLines('stdout', Buffer.from(`${line}\n`), new Date()));
    rmSync(directory, { recursive: true });
    assert.equal(await rest, 'second\nlast\n');
  });

  it('is not read twice while it is removed', async (t) => {
    const { directory, log } = await writer(t);
    await log.write('stdout', Buffer.from('first\n'));
    turnOver(directory);
    appendFileSync(join(directory, 'log'), encodeLines('stdout', Buffer.from('second\n'), new Date()));
    const following = reading(directory, { follow: true });
    for (const line of ['first\n', 'second\n']) assert.equal(String((await following.next()).value?.bytes), line);
    for (const name of ['log', 'log.next']) rmSync(join(directory, name), { force: true });
    const rest = following.next();
    await delay(250);
    rmSync(directory, { recursive: true });
    assert.equal((await rest).done, true);
  });

  it('has an end for who does not follow it, whatever is written meanwhile', async (t) => {
    const { directory, log } = await writer(t);
    for (const line of ['a', 'b', 'c']) await log.write('stdout', Buffer.from(`${line}\n`));
    for (const [options, seen] of [
      [{}, 'abc'],
      [{ tail: 2 }, 'cx'],
      [{ tail: 0 }, ''],
      [{ tail: 9 }, 'abcxx'],
      [{ since: new Date(Date.now() + 3_600_000), tail: 1 }, ''],
    ] as const) {
      let text = '';
      for await (const { bytes } of reading(directory, options)) {
        text += String(bytes).trim();
        if (text.length < 2) await log.write('stdout', Buffer.from('x\n'));
      }
      assert.equal(text, seen);
    }
  });

  it('is followed from its last lines on: none is missed, and none comes twice', async (t) => {
    const { directory, log } = await writer(t);
    for (const line of ['a', 'b', 'c']) await log.write('stdout', Buffer.from(`${line}\n`));
    await log.write('stderr', Buffer.from('x'.repeat(20_000)));
    await log.write('stderr', Buffer.from('\n'));
    const seen: string[] = [];
    for await (const { stream, bytes } of reading(directory, { tail: 2, follow: true })) {
      seen.push(`${stream} ${bytes.length}`);
      if (seen.length === 1) await log.write('stdout', Buffer.from('four\n'));
      if (seen.length === 5) break;
    }
    assert.deepEqual(seen, ['stdout 2', 'stderr 16384', 'stderr 3616', 'stderr 1', 'stdout 5']);
  });

  it('is read past lines that were not written to their end', async (t) => {
    const { directory } = await writer(t);
    const line = encodeLines('stdout', Buffer.from('whole\n'), new Date());
    writeFileSync(
      join(directory, 'log'),
      Buffer.concat([line, line.subarray(0, 12), Buffer.from('\n'), line, line.subarray(0, 30)]),
    );
    assert.equal(text(await all(directory)), 'whole\nwhole\n');
    for (const torn of ['', 'x', '2026-13-45T99:99:99.999Z stdout F x', '2026-11-28T09:30:00.123Z stdlog F x'])
      assert.equal(decodeLine(Buffer.from(torn)), undefined);
  });

  it('is followed past the beginning of a line that is taken back', async (t) => {
    const { directory, log } = await writer(t);
    const path = join(directory, 'log');
    await log.write('stdout', Buffer.from('first\n'));
    const { size } = statSync(path);
    const file = new LogFile(openSync(path, 'r'), 'web');
    t.after(() => file.close());
    appendFileSync(path, encodeLines('stdout', Buffer.from('torn\n'), new Date()).subarray(0, 36));
    assert.equal(text([...file.lines()]), 'first\n');
    truncateSync(path, size);
    await log.write('stdout', Buffer.from('second\n'));
    assert.equal(text([...file.lines()]), 'second\n');
  });

  it('is no link, no pipe, and has no line without an end', async (t) => {
    const directory = scratchDirectory(t);
    symlinkSync('/etc/passwd', join(directory, 'log'));
    await assert.rejects(all(directory), { code: 'no-log' });
    rmSync(join(directory, 'log'));
    writeFileSync(join(directory, 'log'), Buffer.alloc(1 << 20, 'x'));
    await assert.rejects(all(directory), { code: 'control-failed', message: /a line that is too long/ });
  });

  it('goes on where somebody has removed its files', async (t) => {
    const { directory, log } = await writer(t);
    for (const name of readdirSync(directory)) rmSync(join(directory, name));
    const line = Buffer.from(`${'y'.repeat(99)}\n`.repeat(160));
    for (let written = 0; written < 9 << 20; written += line.length) await log.write('stdout', line);
    await log.write('stdout', Buffer.from('end\n'));
    assert.match(text(await all(directory)), /y\nend\n$/);
  });

  it('writes nothing to where its directory was', async (t) => {
    const { directory, log } = await writer(t);
    rmSync(directory, { recursive: true });
    mkdirSync(directory);
    for (let written = 0; written < 10 << 20; written += 16_384)
      await log.write('stdout', Buffer.alloc(16_384, `${'x'.repeat(127)}\n`));
    assert.deepEqual(readdirSync(directory), []);
  });
});
