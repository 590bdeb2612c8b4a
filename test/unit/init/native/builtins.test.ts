/** Programs of the init: what they answer, and how they fail. */

import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { CallFlag, Proc, SpawnFlag } from '../../../../src/protocol/wire.js';
import { Guest, spawnPayload } from './driver.js';

const { errno } = constants;

async function scratch(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'builtins-'));
  t.after(() => rm(path, { recursive: true, force: true }));
  return path;
}

describe('programs of the init', () => {
  test('read writes a file to stdout', async (t) => {
    const directory = await scratch(t);
    const bytes = Buffer.alloc(300_001, 'file ');
    await writeFile(join(directory, 'a file'), bytes);
    const guest = await Guest.start(t);
    const flags = SpawnFlag.BUILTIN;
    const number = await guest.spawnBeside(['read', 'a file'], { flags, directory });
    assert.equal(await guest.exit(number), 0);
    assert.ok(guest.output(Proc.STDOUT, number).equals(bytes));
    assert.equal(guest.output(Proc.STDERR, number).length, 0);
    await guest.finish();
  });

  test('a failure is reported with its errno', async (t) => {
    const guest = await Guest.start(t);
    const number = await guest.spawnBeside(['read', '/nonexistent'], { flags: SpawnFlag.BUILTIN });
    assert.equal(await guest.exit(number), 1 << 8);
    const report = guest.output(Proc.STDERR, number);
    assert.equal(report.readUInt32BE(0), errno.ENOENT);
    assert.equal(report.subarray(4).toString(), 'open(/nonexistent)');
    await guest.finish();
  });

  test('an unknown one, and a wrong number of arguments', async (t) => {
    const guest = await Guest.start(t);
    const flags = SpawnFlag.BUILTIN;
    await guest.fails(errno.ENOSYS, Proc.SPAWN, spawnPayload(['/bin/sh'], { flags }), CallFlag.TOLERATE);
    const number = await guest.spawnBeside(['read', '/etc/passwd', '/etc/group'], { flags });
    assert.equal(await guest.exit(number), 1 << 8);
    assert.equal(guest.output(Proc.STDERR, number).readUInt32BE(0), errno.EINVAL);
    assert.equal(guest.output(Proc.STDOUT, number).length, 0);
    await guest.finish();
  });
});
