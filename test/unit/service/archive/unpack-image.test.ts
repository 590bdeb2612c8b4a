/** An image of an archive is the file that was exported. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { checkImage } from '../../../../src/service/archive/check-image.js';
import { Members } from '../../../../src/service/archive/members.js';
import { unpackImage } from '../../../../src/service/archive/unpack-image.js';
import { writeImage } from '../../../../src/service/archive/write-state.js';
import { unlessProgram } from '../../../helpers/images.js';
import { scratchDirectory, WITH_ATTRIBUTES } from '../../../helpers/scratch.js';

const OPTIONS = { archive: 'x.tar', name: 'web' };

function membersOf(path: string): Members {
  const [program = '', ...words] = writeImage(path);
  const archive = execFileSync(program, words, { maxBuffer: 1 << 28 });
  return new Members(
    (async function* () {
      for (let at = 0; at < archive.length; at += 65_521) yield archive.subarray(at, at + 65_521);
    })(),
    'x.tar',
  );
}

describe('unpackImage', () => {
  it('makes the file with its holes, for its owner alone', async (t) => {
    const directory = scratchDirectory(t, WITH_ATTRIBUTES);
    for (const make of [
      'printf abc > image',
      'printf abc > image; truncate -s 5000 image',
      ': > image',
      'truncate -s 50000 image',
      'for i in $(seq 0 8 800); do echo $i | dd of=image bs=4096 seek=$i conv=notrunc status=none; done; echo x >> image',
      'truncate -s 1M image; seq 100000 >> image; truncate -s 3000001 image',
    ]) {
      execFileSync('sh', ['-ec', `rm -f image; ${make}`], { cwd: directory });
      const from = join(directory, 'image');
      const to = join(scratchDirectory(t, WITH_ATTRIBUTES), 'image.qcow2');
      await unpackImage(membersOf(from), to, OPTIONS);
      assert.ok(readFileSync(from).equals(readFileSync(to)), make);
      assert.equal(statSync(to).mode & 0o777, 0o600);
      // What a file system notes of its parts may be elsewhere.
      assert.ok(statSync(to).blocks <= statSync(from).blocks + 64, make);
    }
  });

  it('takes the place of nothing', async (t) => {
    const directory = scratchDirectory(t, WITH_ATTRIBUTES);
    execFileSync('sh', ['-ec', 'echo a > image; echo b > to'], { cwd: directory });
    const to = join(directory, 'to');
    await assert.rejects(unpackImage(membersOf(join(directory, 'image')), to, OPTIONS), {
      code: 'service-archive-not-unpacked',
    });
    assert.equal(readFileSync(to, 'utf8'), 'b\n');
  });
});

describe('checkImage', { skip: unlessProgram('qemu-img') }, () => {
  it('ends when it is cancelled', async (t) => {
    const directory = scratchDirectory(t);
    const path = join(directory, 'image.qcow2');
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', path, '1M']);
    await checkImage(path, OPTIONS);
    const signal = AbortSignal.abort();
    await assert.rejects(checkImage(path, { ...OPTIONS, signal }), { code: 'aborted' });
  });
});
