/** virt-sandbox-ctl cp: which way files go, and what is said of it. Copies themselves are tested with the API's. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { embedded } from '../helpers/connections.js';
import { ctl, ctlAtTerminal, detached, endDetached, said, startDetached } from '../helpers/ctl.js';
import { qemuOf, uniqueName } from '../helpers/leftovers.js';

const SIZE = { rows: 24, columns: 100 };

describe('cp', { skip: embedded.skip }, () => {
  const name = uniqueName();
  let directory: string;
  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'vs-cp-'));
    mkdirSync(join(directory, 'tree/sub'), { recursive: true });
    writeFileSync(join(directory, 'tree/sub/file'), 'content', { mode: 0o640 });
    symlinkSync('sub/file', join(directory, 'tree/link'));
    await startDetached(embedded.uri, { name });
  });
  after(async () => {
    await endDetached(name);
    rmSync(directory, { recursive: true });
  });

  it('copies a tree into a sandbox, and back out of it', async () => {
    const how = { cwd: directory };
    assert.equal(await said(['cp', 'tree', `${name}:/tmp`], how), '');
    assert.equal(await said(['exec', name, 'cat', '/tmp/tree/link']), 'content');
    assert.equal(await said(['cp', `${name}:tmp/tree`, 'back'], how), '');
    assert.equal(readFileSync(join(directory, 'back/sub/file'), 'utf8'), 'content');
    assert.equal(statSync(join(directory, 'back/sub/file')).mode & 0o777, 0o640);
    assert.equal(readlinkSync(join(directory, 'back/link')), 'sub/file');
    assert.equal(await said(['cp', 'tree/.', `${name}:/tmp/flat`], how), '');
    assert.equal(await said(['exec', name, 'ls', '/tmp/flat']), 'link\nsub\n');
  });

  it('takes a tar of standard input, and gives one to standard output', async () => {
    const input = execFileSync('tar', ['-c', '-C', directory, 'tree']);
    await said(['exec', name, 'mkdir', '/tmp/tar']);
    const { code, stderr } = await ctl(['cp', '-', `${name}:/tmp/tar`], { input });
    assert.deepEqual([code, stderr], [0, '']);
    assert.equal(await said(['exec', name, 'cat', '/tmp/tar/tree/link']), 'content');
    const back = await said(['cp', `${name}:/tmp/tar/tree`, '-']);
    const list = execFileSync('tar', ['-t'], { input: back, encoding: 'utf8' });
    assert.deepEqual(list.trim().split('\n').sort(), ['tree/', 'tree/link', 'tree/sub/', 'tree/sub/file']);
  });

  it('says that a sandbox has no tar', async (t) => {
    const without = await detached(t, embedded.uri, { options: ['-e', 'PATH=/no/such'] });
    const { code, stderr } = await ctl(['cp', '-', `${without}:/tmp`], { input: '' });
    assert.equal(code, 125);
    assert.match(stderr, /has no tar, which cp - needs; install it/);
  });

  it('has the rights of a user', async () => {
    assert.equal(await said(['cp', '-u', 'nobody', join(directory, 'tree'), `${name}:/tmp/of-nobody`]), '');
    assert.equal(await said(['exec', name, 'stat', '-c', '%U', '/tmp/of-nobody']), 'nobody\n');
    const { code, stderr } = await ctl(['cp', '-u', 'nobody', join(directory, 'tree'), `${name}:/run/x`]);
    assert.equal(code, 125);
    assert.match(stderr, /permission denied/);
  });

  it('says what cannot be copied', async () => {
    for (const [from, to, pattern] of [
      [`${name}:/no/such`, directory, /\/no\/such in the sandbox: there is no such file/],
      ['/no/such', `${name}:/tmp`, /\/no\/such on the host: there is no such file/],
      [`${name}:/no/such`, '-', /tar failed in the sandbox .* exit status is 2/],
      ['/etc/hostname', `no-such-${name}:/tmp`, /no sandbox called/],
    ] as const) {
      const { code, out, stderr } = await ctl(['cp', from, to]);
      assert.deepEqual([code, out], [125, ''], stderr);
      assert.match(stderr, pattern);
      assert.match(stderr, /^(tar: .*\n)*virt-sandbox-ctl: [a-z]+: [^;]+; .+\n$/);
    }
  });

  /** Runs `work` while the machine does nothing, so that no copy ends. */
  const whileStopped = async <T>(work: () => Promise<T>): Promise<T> => {
    const qemu = qemuOf(name) ?? assert.fail('there is no QEMU');
    process.kill(qemu, 'SIGSTOP');
    try {
      return await work();
    } finally {
      process.kill(qemu, 'SIGCONT');
    }
  };

  it('says at a terminal what takes so long', async (t) => {
    const target = join(directory, 'late');
    const terminal = await whileStopped(async () => {
      const copying = ctlAtTerminal(t, ['cp', `${name}:/etc/hostname`, target], SIZE);
      await copying.until(new RegExp(`virt-sandbox-ctl: copying out of ${name}…`));
      return copying;
    });
    assert.deepEqual(await terminal.exited(), { code: 0, signal: null });
    assert.ok(statSync(target).size > 0);
  });

  it('ends by a signal, also where the sandbox does not answer', async (t) => {
    const target = join(directory, 'never');
    await whileStopped(async () => {
      const terminal = ctlAtTerminal(t, ['cp', `${name}:/etc/hostname`, target], SIZE);
      await terminal.until(/…/);
      terminal.child.kill('SIGTERM');
      assert.deepEqual(await terminal.exited(), { code: 143, signal: null });
    });
    assert.throws(() => statSync(target), { code: 'ENOENT' });
  });
});
