/** Arguments and names that are not UTF-8: passed on unchanged, or refused. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseArguments } from '../../../src/cli/sandbox-arguments.js';
import { KeyFile } from '../../../src/config/sandbox-cfg/keyfile.js';
import { entriesOf } from '../../../src/includes/walk.js';
import { FieldWriter } from '../../../src/protocol/fields.js';
import { bytesOf, isRaw, textOf } from '../../../src/util/raw-text.js';
import { rejectsWith } from '../../helpers/errors.js';
import { scratchDirectory } from '../../helpers/scratch.js';

const ARGV = new URL('../../../src/cli/argv.js', import.meta.url).href;

/** Truncated characters, invalid bytes, a surrogate, an overlong character, some of them next to valid UTF-8. */
const BYTES = [
  [0xff, 0xfe],
  [0x61, 0xc3],
  [0xc3, 0xbc, 0x80, 0x62],
  [0xed, 0xb2, 0x80],
  [0xc0, 0xaf],
  [0xf0, 0x9f],
].map((bytes) => Buffer.from(bytes));

test('text that is not UTF-8 keeps its bytes', () => {
  for (const bytes of BYTES) {
    const text = textOf(bytes);
    assert.ok(isRaw(text));
    assert.deepEqual(bytesOf(text), bytes);
    assert.deepEqual(bytesOf(`ü${text}😀`), Buffer.concat([Buffer.from('ü'), bytes, Buffer.from('😀')]));
    assert.deepEqual(new FieldWriter().str(text).finish().subarray(4), bytes);
  }
  for (const text of ['', 'ü', '😀\u{10ffff}', '\ufffd', '\ufeffa']) {
    assert.equal(textOf(Buffer.from(text)), text);
    assert.equal(isRaw(text), false);
    assert.deepEqual(bytesOf(text), Buffer.from(text));
  }
});

test('the words of the command line keep their bytes', () => {
  const print = `const { givenWords } = await import(${JSON.stringify(ARGV)}); console.log(JSON.stringify(givenWords()));`;
  const given = (words: string) => {
    // A program has its path before its words; -e has none.
    const command = `exec "$0" --input-type=module -e "$1" program ${words}`;
    const out = execFileSync('sh', ['-c', command, process.execPath, print], { encoding: 'utf8' });
    return JSON.parse(out) as string[];
  };
  // The word after -e's script is the first.
  assert.deepEqual(given(`"$(printf '\\377a')" '' ü \ufffd`), ['\udcffa', '', 'ü', '\ufffd']);
  assert.deepEqual(given(`'' x`), ['', 'x']);
});

test('everything but the command and variables must be UTF-8', () => {
  assert.deepEqual(parseArguments(['-e', 'A=\udcff', '--', '\udcff']), {
    run: { env: ['A=\udcff'], command: ['\udcff'] },
  });
  for (const [name, words] of [
    ['root', ['--root', '/\udcff']],
    ['mount', ['-m', 'ram:/a=1M', '-m', 'host-bind:/a=/\udcff']],
  ] as const) {
    assert.throws(() => parseArguments([...words, '--', 'true']), {
      code: 'not-utf8',
      message: new RegExp(`--${name}`),
    });
  }
  assert.throws(() => new KeyFile('a.cfg').set('command', 'argv.0', '\udcff'), { code: 'key-file-not-utf8' });
});

test('the error names an include with a name that is not UTF-8', async (t) => {
  const walk = async (source: string) => {
    for await (const _ of entriesOf({ source, target: '/a' }));
  };
  const directory = scratchDirectory(t);
  const [names, links] = ['names', 'links'].map((name) => join(directory, name)) as [string, string];
  for (const path of [names, links]) mkdirSync(path);
  writeFileSync(join(names, '\ufffd'), '');
  await walk(names);
  writeFileSync(Buffer.concat([Buffer.from(`${names}/a`), Buffer.from([0xff])]), '');
  await rejectsWith(
    walk(names),
    'include-unreadable',
    /"a\\udcff" in ".*names".* is not UTF-8, so it cannot be included; rename it/,
  );
  symlinkSync(Buffer.from([0xff]), join(links, 'l'));
  await rejectsWith(
    walk(links),
    'include-unreadable',
    /target "\\udcff" of the symbolic link ".*links\/l" is not UTF-8/,
  );
});
