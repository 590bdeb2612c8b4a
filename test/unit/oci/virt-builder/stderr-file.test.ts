/** What a program of libguestfs writes to stderr, in a file. */
import assert from 'node:assert/strict';
import { writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { StderrFile } from '../../../../src/oci/virt-builder/stderr-file.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

it('stderr is read to its end, of which little is kept', async (context) => {
  const path = join(scratchDirectory(context), 'stderr');
  writeFileSync(path, 'of the program before');
  const stderr = await StderrFile.open(path);
  context.after(() => stderr.close());
  assert.equal(await stderr.tail(), '');
  writeSync(stderr.fd, 'virt-builder: warning: x\n');
  assert.equal(await stderr.tail(), 'virt-builder: warning: x\n');
  const piece = Buffer.alloc(1 << 20, 'x');
  for (let at = 0; at < 15; at += 1) writeSync(stderr.fd, piece);
  assert.equal(await stderr.isTooLong(), false);
  writeSync(stderr.fd, piece);
  writeSync(stderr.fd, '\nvirt-builder: error: the end\n');
  assert.equal(await stderr.isTooLong(), true);
  const tail = await stderr.tail();
  assert.equal(tail.length, 8 << 10);
  assert.ok(tail.endsWith('x\nvirt-builder: error: the end\n'));
});
