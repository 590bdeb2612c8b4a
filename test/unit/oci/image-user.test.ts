/** The user and the command of an image. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { imageCommand } from '../../../src/oci/image-command.js';
import type { ImageConfig } from '../../../src/oci/image-config.js';
import { imageUser } from '../../../src/oci/image-user.js';
import { parsePlatform } from '../../../src/oci-names/platform.js';
import { throwsWith } from '../../helpers/errors.js';

const FILES = {
  passwd: [
    'root:x:0:0:root:/root:/bin/sh',
    '# comment:x:5:5:::',
    'web:x:33:34:web:/var/www:/bin/sh',
    'short:x:40:41',
    '1234:x:50:51::/number:',
    'bad:x:no:0::/:',
    'huge:x:4294967295:0::/:',
    '',
  ].join('\n'),
  group: ['root:x:0:', 'web:x:34:', 'logs:x:60:web,root', 'more:x:7:other,web', 'bad:x:-1:web', 'broken'].join('\n'),
};

describe('the user of an image', () => {
  for (const [user, uid, gid, groups, home] of [
    ['', 0, 0, [60], '/root'],
    ['root', 0, 0, [60], '/root'],
    ['0', 0, 0, [60], '/root'],
    ['web', 33, 34, [7, 60], '/var/www'],
    ['33', 33, 34, [7, 60], '/var/www'],
    ['web:', 33, 34, [7, 60], '/var/www'],
    ['web:logs', 33, 60, [], '/var/www'],
    ['web:60', 33, 60, [], '/var/www'],
    ['web:9999', 33, 9999, [], '/var/www'],
    ['short', 40, 41, [], '/'],
    ['1234', 50, 51, [], '/number'],
    ['77', 77, 0, [], '/'],
    ['77:web', 77, 34, [], '/'],
    [':web', 0, 34, [], '/root'],
    ['4294967293', 4294967293, 0, [], '/'],
  ] as const) {
    it(`${JSON.stringify(user)} is ${uid}:${gid}`, () => {
      const found = imageUser(user, FILES, 'image x');
      assert.deepEqual([found.uid, found.gid, found.groups, found.home], [uid, gid, groups, home]);
    });
  }

  it('is root without any files', () => {
    const { uid, gid, groups, home } = imageUser('', { passwd: '', group: '' }, 'image x');
    assert.deepEqual([uid, gid, groups, home], [0, 0, [], '/']);
  });

  for (const user of [
    'nobody',
    'web:nobody',
    'bad',
    'huge',
    '4294967294',
    '4294967295',
    '-1',
    '1.5',
    '0x1',
    '99999999999',
    ' root',
  ])
    it(`${JSON.stringify(user)} is not known`, () => {
      throwsWith(() => imageUser(user, FILES, 'image x'), 'user-unknown', /image x has no (user|group) '/);
    });
});

const config: ImageConfig = {
  platform: parsePlatform('amd64'),
  created: undefined,
  entrypoint: ['/entry', 'a'],
  command: ['b'],
  environment: ['A=b=c', 'B=', 'HOME=/own'],
  user: '',
  workingDirectory: '',
  stopSignal: undefined,
  volumes: [],
  exposedPorts: [],
  labels: {},
  diffIds: [],
  history: [],
};

describe('the command of an image', () => {
  const of = (words: string[], entrypoint?: string, one = config) =>
    imageCommand(one, { words, entrypoint }, 'image x');
  it('is its entrypoint and its command, or what is said in place of them', () => {
    assert.deepEqual(of([]), ['/entry', 'a', 'b']);
    assert.deepEqual(of(['c', 'd']), ['/entry', 'a', 'c', 'd']);
    assert.deepEqual(of([], '/x'), ['/x']);
    assert.deepEqual(of(['c'], '/x'), ['/x', 'c']);
    assert.deepEqual(of(['c'], ''), ['c']);
    assert.deepEqual(of([], undefined, { ...config, entrypoint: [] }), ['b']);
  });

  it('must be one', () => {
    const none = { ...config, entrypoint: [], command: [] };
    throwsWith(() => of([], undefined, none), 'command-missing', /image x names no command; name one behind --/);
    throwsWith(() => of([], ''), 'command-missing');
    assert.deepEqual(of(['c'], undefined, none), ['c']);
  });
});
