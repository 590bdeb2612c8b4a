/** What a service that runs leaves on a disk that is full: it goes on, and so do its log and its record. */
import assert from 'node:assert/strict';
import { mkdirSync, openSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { LogRecord } from '../../../../src/control/log.js';
import { readLogIn } from '../../../../src/control/read-log.js';
import { neverRan } from '../../../../src/service/run/errors.js';
import { LifeRecorder } from '../../../../src/service/run/life-recorder.js';
import { openServiceLog } from '../../../../src/service/run/log.js';
import { makeLife, readServiceRecord } from '../../../../src/service/run/record.js';
import { DEFAULT_SETTINGS, type Service } from '../../../../src/service/types.js';
import { SandboxError } from '../../../../src/util/errors.js';
import { FullDisk } from '../../../helpers/full-disk.js';
import { holdsDuring } from '../../../helpers/meanwhile.js';
import { scratchDirectory, unlessRoot } from '../../../helpers/scratch.js';

async function logOf(life: string): Promise<LogRecord[]> {
  const records: LogRecord[] = [];
  const source = {
    name: 'web',
    uid: process.geteuid?.(),
    open: () => openSync(life, 'r'),
    missing: () => neverRan('web'),
    isOver: () => true,
  };
  for await (const record of readLogIn(source, {})) records.push(record);
  return records;
}

const textOf = (records: readonly LogRecord[], stream: LogRecord['stream']) =>
  Buffer.concat(records.filter((one) => one.stream === stream).map(({ bytes }) => bytes)).toString();

/** More than a piece of a file system has. */
const line = (letter: string) => `${letter.repeat(5000)}\n`;

describe('the log of a service on a full disk', { skip: unlessRoot('mounts') }, () => {
  it('leaves out what there is no room for, says so when there is room again, and goes on', async (t) => {
    const disk = new FullDisk(t, 'size=256k');
    const life = join(disk.path, 'web');
    const log = await openServiceLog({ life });
    t.after(() => log.close());
    await log.write('stdout', Buffer.from(line('a')));
    disk.fill();
    const { size } = statSync(join(life, 'log'));
    for (const letter of ['b', 'c', 'd']) await log.write('stdout', Buffer.from(line(letter)));
    await log.write('stderr', Buffer.from('e\n'));
    // The rest of the file's last page is not taken by others.
    assert.ok(statSync(join(life, 'log')).size < size + 4096);
    disk.makeRoom();
    await log.write('stdout', Buffer.from(line('f')));
    await log.write('stdout', Buffer.from(line('g')));
    const records = await logOf(life);
    // What was on the rest of a page is no line.
    assert.equal(textOf(records, 'stdout'), line('a') + line('f') + line('g'));
    assert.match(
      textOf(records, 'stderr'),
      /^virt-sandbox-service: up to 15005 bytes of its output are missing here, which could not be written: ENOSPC[^\n]*\n$/,
    );
    const at = records.findIndex(({ stream }) => stream === 'stderr');
    assert.match(records[at - 1]?.bytes.toString() ?? '', /^a+\n$/);
    assert.match(records[at + 1]?.bytes.toString() ?? '', /^f+\n$/);
  });

  it('says so as soon as there is room again, whenever the next output comes', { timeout: 60_000 }, async (t) => {
    const disk = new FullDisk(t, 'size=256k');
    const life = join(disk.path, 'web');
    const said: (string | undefined)[] = [];
    const log = await openServiceLog({ life }, (why) => said.push(why), 5);
    t.after(() => log.close());
    disk.fill();
    await log.write('stdout', Buffer.from(line('a')));
    disk.makeRoom();
    const over = new Promise<void>((resolve) => t.signal.addEventListener('abort', () => resolve()));
    await holdsDuring(over, () => said.length === 2);
    assert.match(said[0] ?? '', /^ENOSPC/);
    assert.equal(said[1], undefined);
    assert.match(textOf(await logOf(life), 'stderr'), /^virt-sandbox-service: up to 5001 bytes .*\n$/);
  });

  it('goes on behind whole lines where its writer was killed within one', async (t) => {
    const life = join(scratchDirectory(t), 'web');
    const first = await openServiceLog({ life });
    await first.write('stdout', Buffer.from('first\n123'));
    await first.close();
    truncateSync(join(life, 'log'), statSync(join(life, 'log')).size - 2);
    const next = await openServiceLog({ life });
    await next.write('stdout', Buffer.from('next\n'));
    await next.close();
    assert.equal(textOf(await logOf(life), 'stdout'), 'first\nnext\n');
  });

  it('says at its end what is missing, and begins anew where its file could not be turned over', async (t) => {
    const disk = new FullDisk(t, 'size=17M');
    const life = join(disk.path, 'web');
    const log = await openServiceLog({ life });
    const much = Buffer.from(line('a').repeat(1024));
    for (let number = 0; number < 5; number += 1) await log.write('stdout', much);
    disk.fill();
    await log.write('stdout', much);
    disk.makeRoom();
    await log.close();
    const end = (await logOf(life)).at(-1)?.bytes.toString();
    assert.match(end ?? '', /up to \d+ bytes of its output are missing here/);
  });

  it('is not begun, with the directory in the error', async (t) => {
    const disk = new FullDisk(t, 'nr_inodes=2');
    const lives = [1, 2, 3].map((number) => join(disk.path, `web${number}`));
    mkdirSync(lives[0] ?? '');
    for (const life of lives)
      await assert.rejects(openServiceLog({ life }), (error: Error & { code?: string; remedy?: string }) => {
        assert.equal(error.code, 'service-not-recorded');
        assert.ok(error.message.includes(life) && error.message.includes('ENOSPC'), error.message);
        assert.match(error.remedy ?? '', /make room/);
        return true;
      });
  });
});

function serviceIn(life: string): Service {
  const paths = { directory: life, config: life, file: join(life, 'sandbox.cfg'), life };
  return { name: 'web', paths, config: {} as Service['config'], settings: DEFAULT_SETTINGS };
}

const CLAIM = { path: '/nowhere', owner: `${process.pid} 1 x 1\n` };

describe('the record of a service on a full disk', { skip: unlessRoot('mounts') }, () => {
  it('takes the room of the one before', async (t) => {
    const disk = new FullDisk(t, 'size=64k');
    const life = join(disk.path, 'web');
    makeLife(life);
    const said: string[] = [];
    const recorder = new LifeRecorder(serviceIn(life), { claim: CLAIM }, (sentence) => said.push(sentence));
    recorder.phase('starting', {});
    await recorder.written();
    disk.fill();
    const end = { why: 'ended', exitCode: 3, status: 3, signal: undefined, error: undefined } as const;
    recorder.phase('failed', { end });
    await recorder.end();
    const record = readServiceRecord(life, 'web');
    assert.deepEqual([record?.phase, record?.lastEnd?.exitCode, said], ['failed', 3, []]);
    // A shorter one has nothing of it.
    recorder.phase('starting', {});
    await recorder.end();
    assert.equal(readServiceRecord(life, 'web')?.phase, 'starting');
  });

  it('does not grow with each one, whatever letters it has', async (t) => {
    const disk = new FullDisk(t, 'size=64k');
    const life = join(disk.path, 'web');
    makeLife(life);
    const said: string[] = [];
    const recorder = new LifeRecorder(serviceIn(life), { claim: CLAIM }, (sentence) => said.push(sentence));
    const failed = { code: 'x', message: 'ä'.repeat(300), remedy: 'y', stage: 'service' } as const;
    const end = { why: 'failed', exitCode: 1, status: 1, signal: undefined, error: new SandboxError(failed) } as const;
    recorder.phase('failed', { end });
    await recorder.written();
    disk.fill();
    for (let number = 0; number < 20; number += 1) {
      recorder.phase(number % 2 === 0 ? 'starting' : 'failed', { end });
      await recorder.end();
    }
    const record = readServiceRecord(life, 'web');
    assert.deepEqual([record?.phase, said], ['failed', []]);
    assert.match(record?.lastEnd?.text ?? '', /ä{300}/);
  });

  it('is written when there is room, if there was none before, and that is said once', {
    timeout: 60_000,
  }, async (t) => {
    const disk = new FullDisk(t, 'size=64k');
    const life = join(disk.path, 'web');
    makeLife(life);
    disk.fill();
    const said: string[] = [];
    const recorder = new LifeRecorder(serviceIn(life), { claim: CLAIM }, (sentence) => said.push(sentence), 5);
    t.after(() => recorder.end());
    recorder.phase('starting', {});
    await recorder.written();
    recorder.phase('running', {});
    await recorder.written();
    assert.equal(readServiceRecord(life, 'web'), undefined);
    assert.equal(said.length, 1, said.join('\n'));
    assert.match(said[0] ?? '', /^what is known of it cannot be recorded: ENOSPC.*; make room/);
    disk.makeRoom();
    const over = new Promise<void>((resolve) => t.signal.addEventListener('abort', () => resolve()));
    await holdsDuring(over, () => readServiceRecord(life, 'web')?.phase === 'running');
  });
});
