/** An upgrade of a service with its state in an image, which is killed or refused. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { isImageInUse } from '../../src/sandbox/devices/overlay-image.js';
import { embedded } from '../helpers/connections.js';
import { endDetached, said } from '../helpers/ctl.js';
import { unlessProgram } from '../helpers/images.js';
import { holdsDuring } from '../helpers/meanwhile.js';
import { makeRoot, unlessBusybox } from '../helpers/roots.js';
import { runSandbox } from '../helpers/run.js';
import { scratchDirectory, unlessRoot, WITH_ATTRIBUTES } from '../helpers/scratch.js';
import { SERVICES, serviceOf } from '../helpers/services.js';

const skip = embedded.skip || unlessRoot('copies files') || unlessProgram('qemu-img', 'mke2fs') || unlessBusybox;

describe('an upgrade of a state in an image', { skip }, () => {
  it('is finished by the next one after it was killed, and is refused while something else has the image', async (t) => {
    const root = makeRoot(t, 'etc/keys', ...['dev', 'proc', 'sys', 'run', 'tmp', 'root']);
    const states = scratchDirectory(t, WITH_ATTRIBUTES);
    const put = (path: string, text: string) => writeFileSync(join(root, path), text, { mode: 0o600 });
    put('etc/keys/key', 'key 1\n');
    chmodSync(join(root, 'etc/keys'), 0o700);
    writeFileSync(join(root, 'etc/opened'), 'opened 1\n');
    const options = ['-i', '200', '-p', states, '-r', root, '--copy-path', '/etc/keys'];
    const service = await serviceOf(t, embedded, { options, script: 'exec busybox sleep 1000', isKept: true });
    // The machine of the upgrade has no such disk.
    const disk = join(states, 'data.img');
    writeFileSync(disk, Buffer.alloc(1 << 20));
    const own = `[disk.0]\ntype=file\nformat=raw\ntag=data\nsource=${disk}\n`;
    const limited = `${own}[tuning.disk.0]\ntag=data\ntotal_iops_sec=1000\n`;
    service.change((text) => `${text}${limited}`);
    const image = join(states, `${service.name}.qcow2`);
    const drafts = join(SERVICES, service.name, 'upgrade');
    await service.ok(['start']);
    await service.inside(': >> /etc/opened');
    await service.ok(['stop']);
    put('etc/keys/key', 'key 2\n');
    mkdirSync(join(root, 'etc/keys/new'));
    for (let number = 0; number < 40; number += 1) put(`etc/keys/new/${number}`, `${number}\n`);
    writeFileSync(join(root, 'etc/opened'), 'opened 2\n');
    // One copy is there at a time.
    const seen = new Set<string>();
    const haveCome = () => {
      const copies = existsSync(drafts) ? readdirSync(drafts) : [];
      assert.ok(copies.length <= 1, copies.join());
      for (const copy of copies) seen.add(copy);
      return seen.size > 5;
    };
    // When its machine has come, and when the first files are there.
    for (const hasCome of [() => isImageInUse(image), haveCome]) {
      const upgrading = service.begin(['upgrade']);
      await holdsDuring(upgrading.result, hasCome);
      upgrading.child.kill('SIGKILL');
      await upgrading.result;
      await service.eventually(
        async () => isImageInUse(image),
        (isUsed) => !isUsed,
      );
    }
    const { out, code: status, stderr: told } = await service.run(['upgrade']);
    assert.deepEqual([status, told], [0, ''], out);
    assert.ok(!existsSync(drafts));
    const { files } = JSON.parse(await service.ok(['upgrade', '--json'])) as { files: unknown[] };
    assert.deepEqual(files, []);
    const file = join(SERVICES, service.name, 'config/sandbox.cfg');
    const { code, stderr } = await runSandbox(['--config', file, '-c', embedded.uri, '--detach']);
    assert.equal(code, 0, stderr);
    t.after(() => endDetached(service.name));
    const look =
      'cat /etc/opened /etc/keys/key; ls /etc/keys/new | wc -l; ls -a /etc/keys | grep virt; cat /etc/keys/new/39';
    const words = ['exec', service.name, '--', 'sh', '-c', look];
    assert.equal(await said(words), 'opened 2\nkey 2\n40\n39\n');
    await service.fails(['upgrade'], /has its state in .* in use; end the sandbox/);
  });
});
