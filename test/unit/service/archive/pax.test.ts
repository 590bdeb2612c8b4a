/** The headers of PAX that are understood, and those that are refused. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parsePax } from '../../../../src/service/archive/pax.js';
import { paxRecord } from '../../../helpers/tar-members.js';

const parsed = (...records: readonly (readonly [string, string])[]) =>
  parsePax(Buffer.concat(records.map(([name, value]) => paxRecord(name, value))));

describe('parsePax', () => {
  it('reads what GNU tar writes for a state', () => {
    assert.deepEqual(parsed(['path', 'a\nb'], ['linkpath', 'c'], ['size', '5'], ['uid', '3000000'], ['mtime', '1.5']), {
      path: 'a\nb',
      link: 'c',
      size: 5,
      uid: 3_000_000,
      mtime: '1.5',
      attributes: new Map(),
      accessLists: new Map(),
    });
    assert.deepEqual(
      parsed(
        ['GNU.sparse.major', '1'],
        ['GNU.sparse.minor', '0'],
        ['GNU.sparse.name', 'a'],
        ['GNU.sparse.realsize', '9'],
        ['SCHILY.xattr.user.x', 'a=\n\0'],
        ['SCHILY.acl.access', 'user::rwx'],
      ),
      {
        path: 'a',
        realSize: 9,
        attributes: new Map([['user.x', 'a=\n\0']]),
        accessLists: new Map([['access', 'user::rwx']]),
      },
    );
  });

  it('refuses all else', () => {
    const refused: (readonly (readonly [string, string])[])[] = [
      [['path', 'a\0b']],
      [
        ['path', 'a'],
        ['path', 'b'],
      ],
      [
        ['path', 'a'],
        ['GNU.sparse.name', 'b'],
      ],
      [['GNU.sparse.major', '0']],
      [['GNU.sparse.major', '1']],
      [['GNU.sparse.realsize', '0']],
      [['GNU.sparse.name', 'a']],
      [['SCHILY.xattr.user.a\0', 'b']],
      [['SCHILY.acl.other', 'b']],
      [['atime', '1']],
      [['mtime', 'x']],
      [['size', '01']],
      [['GNU.sparse.map', '0,1']],
      [['hdrcharset', 'BINARY']],
      [['size', '-1']],
      [['size', '99999999999999999']],
      [['uid', '0x0']],
    ];
    for (const records of refused) assert.equal(typeof parsed(...records), 'string', JSON.stringify(records));
    for (const text of ['x', '5 a=b\n', '99 a=b\n', '6 a=b\r', '06 a=b\n', '6 abcd\n'])
      assert.equal(typeof parsePax(Buffer.from(text)), 'string', text);
  });
});
