/** What logs say of a start that failed. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { failureOf } from '../../../src/libvirt/qemu-log.js';
import { scratchDirectory } from '../../helpers/scratch.js';

test('a server of a directory that has ended is explained by its last line, of this start alone', async (context) => {
  const directory = scratchDirectory(context);
  const [first = '', second = '', third = ''] = ['0', '1', '2'].map((index) => join(directory, index));
  const earlier = 'of an earlier start\n';
  writeFileSync(first, earlier);
  writeFileSync(second, `${earlier}one\nlibvirt:  error : cannot execute binary /x: Permission denied\n`);
  const servers = new Map([first, second, third].map((path) => [path, earlier.length]));
  const qemu = join(directory, 'qemu');
  const died = 'internal error: virtiofsd died unexpectedly';
  assert.equal(
    await failureOf(died, qemu, 0, servers),
    `${died}; 1: libvirt:  error : cannot execute binary /x: Permission denied`,
  );
  assert.equal(await failureOf('another reason', qemu, 0, servers), 'another reason');
});
