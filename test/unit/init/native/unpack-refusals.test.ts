/** `unpack`, and streams that are no tree. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { Proc } from '../../../../src/protocol/wire.js';
import { scratchDirectory } from '../../../helpers/scratch.js';
import { Guest } from './driver.js';
import * as records from './tree-records.js';
import { flags, unpack } from './trees.js';

const { errno } = constants;
const { directory, end, extent, file, fileBegin, fileEnd, hardLink, leave, link, sharedFile, skipped } = records;

describe('unpack refuses a stream that is none, and leaves nothing unfinished:', () => {
  const begun = fileBegin('f', 100);
  const STREAMS: readonly (readonly [name: string, ...stream: Buffer[]])[] = [
    ['nothing'],
    ['no end', directory(''), leave],
    ['no tree', end],
    ['an end in a directory', directory(''), end],
    ['an end in a file', directory(''), begun, end],
    ['a file that breaks off', directory(''), begun, extent(0, 'x')],
    ['an extent that breaks off', directory(''), begun, extent(0, 'x', 50)],
    ['a name that breaks off', directory('').subarray(0, 8), Buffer.alloc(0)],
    ['two trees', file('', 'x'), file('', 'y'), end],
    ['a root with a name', directory('root'), leave, end],
    ['an entry without a name', directory(''), file('', 'x'), leave, end],
    ['..', directory(''), file('..', 'x'), leave, end],
    ['.', directory(''), directory('.'), leave, leave, end],
    ['a path', directory(''), file('a/b', 'x'), leave, end],
    ['an absolute path', directory(''), link('/tmp/x', 'x'), leave, end],
    ['a NUL in a name', directory(''), file('a\0b', 'x'), leave, end],
    ['a NUL in a target', directory(''), link('a', 'x\0'), leave, end],
    ['a link to nothing', directory(''), link('a', ''), leave, end],
    ['a target that is too long', directory(''), link('a', 'x'.repeat(4096)), leave, end],
    ['a mode of a device', directory('', { mode: 0o20666 }), leave, end],
    ['a time of two seconds', directory('', { nanoseconds: 1_000_000_000 }), leave, end],
    ['a size of 2^63', directory(''), fileBegin('f', 2n ** 63n), fileEnd(), leave, end],
    ['an extent behind the size', directory(''), begun, extent(99, 'xy'), fileEnd(), leave, end],
    ['an extent far behind it', directory(''), begun, extent(2n ** 64n - 1n, 'xy'), fileEnd(), leave, end],
    ['extents out of order', directory(''), begun, extent(9, 'x'), extent(8, 'y'), fileEnd(), leave, end],
    ['an empty extent', directory(''), begun, extent(0, ''), fileEnd(), leave, end],
    ['a large extent', directory(''), fileBegin('f', 2 ** 32), extent(0, 'x', (1 << 20) + 1)],
    ['an extent without a file', directory(''), extent(0, 'x'), leave, end],
    ['an end of a file without a file', directory(''), fileEnd(), leave, end],
    ['a way out', directory(''), leave, leave, end],
    ['what is skipped', directory(''), skipped('s', 1), leave, end],
    ['an unknown record', directory(''), Buffer.of(12)],
    ['a shared root', sharedFile('', 'x'), end],
    ['a root that is a hard link', hardLink('', 0), end],
    ['a hard link to nothing', directory(''), hardLink('h', 0), leave, end],
    ['a hard link that leads out', directory(''), sharedFile('tree', 'x'), hardLink('../h', 0), leave, end],
    ['a hard link to a later file', directory(''), hardLink('h', 0), sharedFile('f', 'x'), leave, end],
  ];
  for (const [name, ...stream] of STREAMS) {
    test(name, async (t) => {
      const top = scratchDirectory(t);
      mkdirSync(join(top, 'to'));
      const failure = await unpack(t, join(top, 'to'), 'tree', ...stream);
      assert.equal(failure?.[0], errno.EBADMSG, failure?.[1]);
      assert.match(failure[1], /^stdin: /);
      assert.deepEqual(readdirSync(top), ['to']);
      const left = readdirSync(join(top, 'to'), { recursive: true });
      assert.deepEqual(
        left.filter((path) => path !== 'tree' && path !== 'tree/tree'),
        [],
      );
    });
  }

  test('SIGTERM removes what is unfinished', async (t) => {
    const top = scratchDirectory(t);
    const guest = await Guest.start(t);
    const number = await guest.spawnBeside(['unpack', top, 'tree'], { flags });
    const begin = Buffer.concat([directory(''), fileBegin('f', 100), extent(0, 'x')]);
    guest.stdin(begin, number);
    const unfinished = () => {
      const names = readdirSync(top, { recursive: true });
      return names.filter((each) => each.includes('.virt-sandbox-'));
    };
    while (unfinished().length === 0) await guest.ok(Proc.SYNC);
    await guest.signal(constants.signals.SIGTERM, number);
    await guest.exit(number);
    assert.deepEqual(unfinished(), []);
    await guest.finish();
  });
});
