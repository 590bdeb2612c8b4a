/** A guest that sends what is no tree: nothing but the destination changes. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { describe, test } from 'node:test';
import { rejectsWith } from '../../../../helpers/errors.js';
import * as records from '../../../init/native/tree-records.js';
import { download, victims } from './victims.js';

const { directory, end, extent, file, fileBegin, fileEnd, hardLink, leave, link, sharedFile, skipped } = records;

const begun = fileBegin('f', 100);

/** Streams that are refused, with what is said of them. */
const MALFORMED: readonly (readonly [name: string, said: RegExp, ...stream: Buffer[]])[] = [
  ['nothing', /ends before/],
  ['no end', /ends before/, directory(''), leave],
  ['no tree', /ends within/, end],
  ['an end in a directory', /ends within/, directory(''), end],
  ['an end in a file', /record 9/, directory(''), begun, end],
  ['a file that breaks off', /ends before/, directory(''), begun, extent(0, 'x')],
  ['an extent that breaks off', /ends before/, directory(''), begun, extent(0, 'x', 50)],
  ['more behind the end', /behind its end/, file('', 'x'), end, end],
  ['two trees', /more than one/, file('', 'x'), file('', 'y'), end],
  ['a root with a name', /a root with/, directory('root'), leave, end],
  ['a root with a name that leads out', /a root with/, file('../outside/secret', 'x'), end],
  ['an entry without a name', /no name/, directory(''), file('', 'x'), leave, end],
  ['..', /no name/, directory(''), file('..', 'x'), leave, end],
  ['.. as a directory', /no name/, directory(''), directory('..'), file('secret', 'x'), leave, leave, end],
  ['.', /no name/, directory(''), directory('.'), leave, leave, end],
  ['a path', /no name/, directory(''), file('../outside/secret', 'x'), leave, end],
  ['an absolute path', /no name/, directory(''), link('/tmp/x', 'x'), leave, end],
  ['a NUL in a name', /no name/, directory(''), file('a\0b', 'x'), leave, end],
  ['a NUL in a target', /target/, directory(''), link('a', 'x\0'), leave, end],
  ['a link to nothing', /target/, directory(''), link('a', ''), leave, end],
  ['a target that is too long', /target/, directory(''), link('a', 'x'.repeat(4096)), leave, end],
  ['a mode of a device', /mode/, directory('', { mode: 0o20666 }), leave, end],
  ['a time of two seconds', /time/, directory('', { nanoseconds: 1_000_000_000 }), leave, end],
  ['a size of 2^63', /no host/, directory(''), fileBegin('f', 2n ** 63n), fileEnd(), leave, end],
  ['a size of 2^64 - 1', /no host/, directory(''), fileBegin('f', 2n ** 64n - 1n), fileEnd(), leave, end],
  ['an extent behind the size', /an extent/, directory(''), begun, extent(99, 'xy'), fileEnd(), leave, end],
  ['an extent far behind it', /an extent/, directory(''), begun, extent(2n ** 64n - 1n, 'xy'), fileEnd()],
  ['extents out of order', /an extent/, directory(''), begun, extent(9, 'x'), extent(8, 'y'), fileEnd()],
  ['an empty extent', /an extent/, directory(''), begun, extent(0, ''), fileEnd(), leave, end],
  ['a large extent', /an extent/, directory(''), fileBegin('f', 2 ** 32), extent(0, 'x', (1 << 20) + 1)],
  ['an extent without a file', /record 4/, directory(''), extent(0, 'x'), leave, end],
  ['an end of a file without a file', /record 5/, directory(''), fileEnd(), leave, end],
  ['a file in a file', /record 3/, directory(''), begun, file('g', 'x')],
  ['a way out', /did not enter/, directory(''), leave, leave, file('x', 'x'), end],
  ['an unknown record', /type 12/, directory(''), Buffer.of(12)],
  ['a shared root', /a root with several/, sharedFile('', 'x'), end],
  ['a root that is a hard link', /not sent/, hardLink('', 0), end],
  ['a hard link to nothing', /not sent/, directory(''), hardLink('h', 0), leave, end],
  ['one to a file that is none of several', /not sent/, directory(''), file('f', 'x'), hardLink('h', 0), leave, end],
  ['one that leads out', /no name/, directory(''), sharedFile('f', 'x'), hardLink('../h', 0), leave, end],
  ['one to a later file', /not sent/, directory(''), hardLink('h', 0), sharedFile('f', 'x'), leave, end],
  ['an unknown reason', /reason/, directory(''), skipped('s', 9), leave, end],
  ['unknown flags', /flags/, directory(''), begun, fileEnd(2)],
];

describe('no tree:', () => {
  for (const [name, said, ...stream] of MALFORMED) {
    test(name, async (t) => {
      const { to, unchanged } = victims(t);
      await rejectsWith(download(to, stream, 7), 'tree-malformed', said, /\/from of the sandbox/);
      unchanged();
      const left = readdirSync(to, { recursive: true }) as string[];
      assert.deepEqual(
        left.filter((path) => /\.virt-sandbox-/.test(path) || /secret|x$/.test(path)),
        [],
      );
    });
  }
});
