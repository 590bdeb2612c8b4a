/** Mutated archives are read or refused. Unpacking them writes nothing outside the target. */

import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { readArchives } from '../../../../src/image/archive/read.js';
import { ArchiveError } from '../../../../src/image/archive/types.js';
import { unpackArchives } from '../../../../src/image/archive/unpack.js';
import { SandboxError } from '../../../../src/util/errors.js';
import { type InitrdPacker, makeArchive, packInitrd, unlessInitrdPacker } from '../../../helpers/archives.js';
import { noise } from '../../../helpers/kernel-files.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

/** The same pseudorandom numbers every time, so that a failure repeats. */
function* numbers(seed: number): Generator<number, never> {
  let state = seed >>> 0;
  for (;;) {
    // xorshift32
    state ^= state << 13;
    state >>>= 0;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    yield state;
  }
}

const SEED_ARCHIVE = makeArchive([
  { name: 'd', mode: 0o040755 },
  { name: 'd/file', data: 'some content' },
  { name: 'link', mode: 0o120777, data: 'd' },
  { name: 'link/through', data: 'a file through a link' },
  { name: 'up', mode: 0o120777, data: '../..' },
  { name: 'up/out', data: 'out' },
  { name: 'abs', mode: 0o120777, data: '/outside' },
  { name: 'abs/victim', data: 'written' },
  { name: 'hard', nlink: 2, ino: 77, data: '' },
  { name: 'hard2', nlink: 2, ino: 77, data: 'linked' },
  { name: 'dev', mode: 0o020600, rdev: [1, 3] },
  { name: 'pipe', mode: 0o010600 },
]);

/** Changes a few bytes, mostly where it hurts: in digits, names, and link targets. */
function mutate(data: Buffer, random: Generator<number, never>): Buffer {
  const next = (below: number) => random.next().value % below;
  const copy = Buffer.from(data);
  for (let count = 1 + next(6); count > 0; count -= 1) {
    const at = next(copy.length);
    switch (next(5)) {
      case 0:
        copy.writeUInt8(next(256), at);
        break;
      case 1:
        copy.write('0123456789abcdef'.charAt(next(16)), at);
        break;
      case 2:
        copy.write('../', at);
        break;
      case 3:
        copy.write('/', at);
        break;
      default:
        copy.copy(copy, at, next(copy.length), at + next(64));
    }
  }
  return next(8) === 0 ? copy.subarray(0, next(copy.length)) : copy;
}

it('1500 archives without compression, unpacked too', async (context) => {
  const scratch = scratchDirectory(context);
  const outside = join(scratch, 'outside');
  mkdirSync(outside);
  writeFileSync(join(outside, 'victim'), 'untouched');
  const random = numbers(20_261_124);
  let unpacked = 0;
  for (let round = 0; round < 1500; round += 1) {
    const data = mutate(SEED_ARCHIVE, random);
    const directory = join(scratch, 'box');
    try {
      await unpackArchives(await readArchives(data), directory);
      unpacked += 1;
    } catch (error) {
      if (!(error instanceof ArchiveError) && !(error instanceof SandboxError)) {
        throw new Error(`round ${round}: ${String(error)}`, { cause: error });
      }
    }
    rmSync(directory, { recursive: true, force: true });
    assert.deepEqual(readdirSync(scratch), ['outside'], `round ${round}`);
    assert.deepEqual(readdirSync(outside), ['victim'], `round ${round}`);
    assert.equal(readFileSync(join(outside, 'victim'), 'utf8'), 'untouched', `round ${round}`);
  }
  assert.ok(unpacked > 50, `only ${unpacked} were whole enough to be unpacked`);
});

for (const packer of ['gzip', 'xz', 'lzma', 'bzip2', 'zstd', 'lz4', 'lzo'] as const satisfies readonly InitrdPacker[]) {
  it(`150 archives packed with ${packer}`, { skip: unlessInitrdPacker(packer) }, async () => {
    const packed = packInitrd(
      packer,
      Buffer.concat([SEED_ARCHIVE, makeArchive([{ name: 'noise', data: noise(3000, 'n') }])]),
    );
    const random = numbers(packer.length * 7919);
    for (let round = 0; round < 150; round += 1) {
      try {
        await readArchives(mutate(packed, random));
      } catch (error) {
        if (!(error instanceof ArchiveError)) throw new Error(`round ${round}: ${String(error)}`, { cause: error });
      }
    }
  });
}
