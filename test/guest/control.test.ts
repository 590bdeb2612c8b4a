/** A program that serves its own sandbox to others: `control: true`. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { connectSandbox, runningSandboxes, Sandbox } from '../../src/index.js';
import { embedded } from '../helpers/connections.js';
import { assertNothingLeft, ROOT_STATE, uniqueName } from '../helpers/leftovers.js';
import { programOf } from '../helpers/programs.js';
import { runSandbox } from '../helpers/run.js';

const connect = embedded.uri;

describe('a sandbox of a program', { skip: embedded.skip }, () => {
  it('is served to another process until it has ended', async () => {
    const name = uniqueName();
    const sandbox = await Sandbox.create({ connect, name, control: true });
    const { out } = await runSandbox([programOf('connecting'), name], { program: process.execPath });
    assert.deepEqual((JSON.parse(out) as Record<string, unknown>)['connected'], '0\n');
    await using other = await connectSandbox(name);
    assert.deepEqual([other.record.pid, other.record.detached, other.record.command], [process.pid, false, []]);
    await sandbox.run('echo own >/tmp/file');
    assert.equal((await other.run('cat /tmp/file')).stdout, 'own\n');
    await other.files.write('/tmp/file', 'other');
    assert.equal(await sandbox.files.read('/tmp/file', { encoding: 'utf8' }), 'other');
    const ending = other.wait();
    await sandbox.stop();
    assert.equal((await ending).exitCode, 0);
    await assert.rejects(connectSandbox(name), { code: 'sandbox-not-found' });
    await assertNothingLeft(name);
  });

  it('ends by another process as by itself', async () => {
    const name = uniqueName();
    const sandbox = await Sandbox.start({ name, command: ['sleep', '1000'] }, { connect, control: true });
    await using other = await connectSandbox(name);
    await other.stop();
    assert.equal((await sandbox.exited).signal, 'SIGTERM');
    await assertNothingLeft(name);
  });

  it('may end before it is served', async () => {
    for (let tries = 0; tries < 3; tries += 1) {
      const name = uniqueName();
      const sandbox = await Sandbox.start({ name, command: ['true'] }, { connect, control: true });
      assert.equal((await sandbox.exited).exitCode, 0);
      await assertNothingLeft(name);
    }
  });

  it('is found by nobody without it', async () => {
    const name = uniqueName();
    await using sandbox = await Sandbox.create({ connect, name });
    const listed = (await runningSandboxes()).find((one) => one.name === sandbox.name);
    assert.deepEqual([listed?.called, listed?.record], [name, undefined]);
    for (const file of ['control', 'sandbox.json']) assert.ok(!existsSync(join(ROOT_STATE, name, file)));
    await assert.rejects(connectSandbox(name), { code: 'control-failed' });
  });
});
