/** The cpio archives of boot images, compared with the real cpio. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type CpioEntry, packCpio } from '../../../../src/image/build/cpio.js';
import { noise } from '../../../helpers/kernel-files.js';
import { scratchDirectory, unlessRoot } from '../../../helpers/scratch.js';

const FILES: readonly CpioEntry[] = [
  { type: 'directory', name: 'dev', mode: 0o755 },
  { type: 'directory', name: 'modules', mode: 0o755 },
  { type: 'file', name: 'init', mode: 0o755, content: noise(13_371, 'init') },
  { type: 'file', name: 'empty', mode: 0o600, content: Buffer.alloc(0) },
  // Every remainder of the lengths of name and content modulo 4: each has a padding of its own.
  ...[0, 1, 2, 3, 4, 5].map(
    (i): CpioEntry => ({
      type: 'file',
      name: `modules/${'m'.repeat(i + 1)}.ko`,
      mode: 0o644,
      content: noise(1000 + i, `${i}`),
    }),
  ),
];
const DEVICE: CpioEntry = { type: 'character-device', name: 'dev/console', mode: 0o600, major: 5, minor: 1 };

function unlessCpio(): string | false {
  try {
    execFileSync('cpio', ['--version'], { stdio: 'ignore' });
    return false;
  } catch {
    return 'the program cpio is not installed';
  }
}

test('the real cpio lists the entries', { skip: unlessCpio() }, async () => {
  const archive = await packCpio([...FILES, DEVICE]);
  const listing = execFileSync('cpio', ['-itvn', '--quiet'], {
    input: archive,
    encoding: 'utf8',
    env: { ...process.env, TZ: 'UTC', LC_ALL: 'C' },
  });
  const lines = listing.trimEnd().split('\n');
  const names = lines.map((line) => line.split(/\s+/).at(-1) ?? '');
  assert.deepEqual(names, [...FILES, DEVICE].map((entry) => entry.name).sort());
  for (const line of lines) assert.match(line, /^\S+\s+[12] 0\s+0\s.*Jan\s+1\s+1970 /);
  assert.ok(
    lines.some((line) => /^crw------- .* 5,\s+1 .*dev\/console$/.test(line)),
    listing,
  );
  assert.ok(
    lines.some((line) => /^-rwxr-xr-x .* 13371 .*init$/.test(line)),
    listing,
  );
});

test('the real cpio unpacks the same bytes and modes', { skip: unlessCpio() }, async (context) => {
  const directory = join(scratchDirectory(context), 'out');
  mkdirSync(directory);
  execFileSync('cpio', ['-id', '--quiet'], { cwd: directory, input: await packCpio(FILES) });
  for (const entry of FILES) {
    const path = join(directory, entry.name);
    assert.equal(statSync(path).mode & 0o777, entry.mode, entry.name);
    if (entry.type === 'file') assert.ok(readFileSync(path).equals(entry.content), entry.name);
  }
  assert.equal(readdirSync(join(directory, 'modules')).length, 6);
});

test('the real cpio creates the device', {
  skip: unlessCpio() || unlessRoot('it makes a device file'),
}, async (context) => {
  const directory = scratchDirectory(context);
  execFileSync('cpio', ['-id', '--quiet'], { cwd: directory, input: await packCpio([DEVICE]) });
  const stat = statSync(join(directory, 'dev/console'));
  assert.ok(stat.isCharacterDevice());
  assert.equal(stat.rdev, 5 * 256 + 1);
});

test('the bytes depend on the entries and not on their order', async () => {
  const once = await packCpio([...FILES, DEVICE]);
  const again = await packCpio([DEVICE, ...FILES.toReversed()]);
  assert.ok(once.equals(again));
  assert.equal(once.length % 4, 0);
  const changed = await packCpio([...FILES, { ...DEVICE, minor: 2 }]);
  assert.ok(!once.equals(changed));
});

test('inode numbers are unique, times are 0', async () => {
  const archive = await packCpio([...FILES, DEVICE]);
  const inodes: number[] = [];
  for (let at = 0; ; ) {
    assert.equal(archive.toString('latin1', at, at + 6), '070701');
    const field = (i: number): number =>
      Number.parseInt(archive.toString('latin1', at + 6 + 8 * i, at + 14 + 8 * i), 16);
    const nameSize = field(11);
    if (archive.toString('latin1', at + 110, at + 109 + nameSize) === 'TRAILER!!!') break;
    assert.equal(field(2), 0, 'uid');
    assert.equal(field(3), 0, 'gid');
    assert.equal(field(5), 0, 'time');
    inodes.push(field(0));
    const padded = (size: number): number => Math.ceil(size / 4) * 4;
    at = padded(at + 110 + nameSize) + padded(field(6));
  }
  assert.deepEqual(
    inodes,
    [...inodes.keys()].map((i) => i + 1),
  );
});

test('names other than plain ASCII paths are refused', async () => {
  for (const name of ['ä', 'a b', '', '/abs', 'a//b', '../x', 'a/./b', 'a/', 'new\nline', 'TRAILER!!!', 'nul\0']) {
    await assert.rejects(packCpio([{ type: 'directory', name, mode: 0o755 }]), RangeError, JSON.stringify(name));
  }
  const twice: CpioEntry = { type: 'directory', name: 'a', mode: 0o755 };
  await assert.rejects(packCpio([twice, twice]), /appears twice/);
});
