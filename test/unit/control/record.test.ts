/** The record of a sandbox, and files that another user puts in its place. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { RECORD_FILE, readRecord, writeRecord } from '../../../src/control/record.js';
import { scratchDirectory } from '../../helpers/scratch.js';
import { record } from './a-record.js';

describe('the record of a sandbox', () => {
  it('is for its user alone, and is read as it was written', (t) => {
    const directory = scratchDirectory(t);
    writeRecord(directory, record);
    assert.equal(statSync(join(directory, RECORD_FILE)).mode & 0o777, 0o600);
    assert.deepEqual(readRecord(directory, 'web'), record);
    assert.deepEqual(readRecord(directory, 'web', process.getuid?.()), record);
    assert.deepEqual(readdirSync(directory), [RECORD_FILE]);
  });

  it('is read with as many words as Linux takes', (t) => {
    const directory = scratchDirectory(t);
    const many = { ...record, command: Array<string>(200_000).fill('x') };
    writeRecord(directory, many);
    assert.deepEqual(readRecord(directory, 'web'), many);
  });

  it('says how an overlay is compared', (t) => {
    const range = [{ inside: 0, outside: 65_536, count: 65_536 }];
    const known = { hasOwners: false, hasRedirects: true, hidden: ['/root/.ssh'] };
    const ofContainer = { reader: { gids: [7] }, ids: { uids: range, gids: range } };
    for (const overlay of [null, known, { ...known, ...ofContainer }, { ...known, reader: { uid: 7, gids: [] } }]) {
      const directory = scratchDirectory(t);
      writeRecord(directory, { ...record, overlay });
      assert.deepEqual(readRecord(directory, 'web'), { ...record, overlay });
    }
  });

  const overlay = { hasOwners: true, hasRedirects: true, hidden: [] };
  const wrong: readonly [string, unknown][] = [
    ['no JSON', '{'],
    ['a list', []],
    ['null', null],
    ['another version', { ...record, version: 2 }],
    ['another name', { ...record, name: 'other' }],
    ['PID 0', { ...record, pid: 0 }],
    ['a negative PID', { ...record, pid: -1 }],
    ['a PID that is text', { ...record, pid: '7' }],
    ['a time that is none', { ...record, created: 'now' }],
    ['a kind of connection that there is not', { ...record, connection: 'ssh' }],
    ['a command that is text', { ...record, command: 'rm' }],
    ['a word that is none', { ...record, command: [7] }],
    ['a root that is relative', { ...record, root: 'etc' }],
    ['a root that is no path', { ...record, root: '/etc\0' }],
    ['an overlay that is text', { ...record, overlay: 'memory' }],
    ['ids that are none', { ...record, overlay: { ...overlay, ids: { uids: [{ inside: -1 }], gids: [] } } }],
    ['hidden paths that are none', { ...record, overlay: { ...overlay, hidden: [7] } }],
    ['no guest', { ...record, guest: undefined }],
    [
      'the uid of nobody',
      { ...record, guest: { ...record.guest, identity: { ...record.guest.identity, uid: 2 ** 32 } } },
    ],
    ['a variable that is none', { ...record, guest: { ...record.guest, environment: [null] } }],
  ];
  for (const [what, value] of wrong) {
    it(`is none with ${what}`, (t) => {
      const directory = scratchDirectory(t);
      writeFileSync(join(directory, RECORD_FILE), typeof value === 'string' ? value : JSON.stringify(value));
      assert.throws(() => readRecord(directory, 'web'), { name: 'RecordError' });
    });
  }

  it('has nothing that it does not know', (t) => {
    const directory = scratchDirectory(t);
    const more = { ...record, __proto__: 1, extra: 1, guest: { ...record.guest, trace: { expression: 'x' } } };
    writeFileSync(join(directory, RECORD_FILE), JSON.stringify(more));
    assert.deepEqual(readRecord(directory, 'web'), record);
  });

  it('is neither a link, nor a pipe, nor a directory, nor too large, nor of another user', (t) => {
    const good = scratchDirectory(t);
    writeRecord(good, record);
    const make: readonly ((path: string) => void)[] = [
      (path) => symlinkSync(join(good, RECORD_FILE), path),
      (path) => execFileSync('mkfifo', [path]),
      (path) => mkdirSync(path),
      (path) => writeFileSync(path, JSON.stringify(record).padEnd((16 << 20) + 1)),
      () => {},
    ];
    for (const put of make) {
      const directory = scratchDirectory(t);
      put(join(directory, RECORD_FILE));
      assert.throws(() => readRecord(directory, 'web'), { name: 'RecordError' });
    }
    const directory = scratchDirectory(t);
    writeRecord(directory, record);
    assert.throws(() => readRecord(directory, 'web', 4_000_000), { name: 'RecordError' });
  });
});
