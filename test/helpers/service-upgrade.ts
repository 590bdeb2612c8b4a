/** A service whose host changes, and that is upgraded. The same in machines and in containers. */
import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import type { Way } from './connections.js';
import { makeRoot } from './roots.js';
import { serviceOf } from './services.js';

/** Of the copies: owners and modes are those of the host. */
const KEYS = '640 12 34\n750 0 0\n600 0 0\n';

/** Defines the test. @param given options of create: where the state is */
export function itIsUpgraded(way: Way, what: string, given: readonly string[] = []): void {
  it(`sees what its host has newer after an upgrade, and keeps what it has changed, in ${what}`, async (t) => {
    const root = makeRoot(t, 'etc/keys', 'etc/web', ...['dev', 'proc', 'sys', 'run', 'tmp', 'root']);
    const put = (path: string, text: string, mode = 0o644) => {
      writeFileSync(join(root, path), text);
      chmodSync(join(root, path), mode);
    };
    mkdirSync(join(root, 'etc/keys'), { recursive: true });
    mkdirSync(join(root, 'etc/web/linked'));
    const odd = ['huge', 'line\nbreak', 'pipe'];
    for (const name of ['opened', 'changed', 'own', 'linked/key', ...odd]) put(`etc/web/${name}`, `${name} 1\n`);
    put('etc/keys/key', 'key 1\n', 0o600);
    chmodSync(join(root, 'etc/keys'), 0o700);
    const options = [...given, '-r', root, '--copy-path', '/etc/keys'];
    const service = await serviceOf(t, way, { options, script: 'exec busybox sleep 1000', isKept: true });
    assert.equal((await service.run(['start'])).code, 0);
    // To be opened for writing is enough for a file to be copied.
    const trap = 'mv linked old; ln -s /etc/keys linked';
    const hostile = "truncate -s 300M huge; : >> 'line\nbreak'; rm pipe; mkfifo pipe";
    await service.inside(`cd /etc/web; ${hostile}; : >> opened; echo more >> changed; echo more >> own; ${trap}`);
    await service.fails(['upgrade'], /runs, and what it has written cannot be looked at meanwhile; stop it first/);
    await service.ok(['stop']);
    for (const name of ['opened', 'changed', 'linked/key', ...odd]) put(`etc/web/${name}`, `${name} 2\n`);
    put('etc/keys/key', 'key 2\n', 0o640);
    chownSync(join(root, 'etc/keys/key'), 12, 34);
    mkdirSync(join(root, 'etc/keys/new'), { mode: 0o750 });
    put('etc/keys/new/key', 'new\n', 0o600);
    symlinkSync('key', join(root, 'etc/keys/new/link'));
    assert.equal((await service.run(['start'])).code, 0);
    const all = 'busybox cat /etc/web/opened /etc/web/changed /etc/web/own /etc/keys/key';
    assert.equal(await service.inside(all), 'opened 1\nchanged 1\nmore\nown 1\nmore\nkey 1\n');
    await service.ok(['stop']);
    const upgrade = async (...words: string[]) => {
      const { files } = JSON.parse(await service.ok(['upgrade', '--json', ...words])) as {
        files: { path: string; verdict: string }[];
      };
      return files.map(({ path, verdict }) => `${verdict} ${path}`);
    };
    const expected = [
      'hidden /etc/keys/key',
      'hidden /etc/keys/new/key',
      'hidden /etc/keys/new/link',
      'conflict /etc/web/changed',
      'conflict /etc/web/huge',
      'hidden /etc/web/line\nbreak',
      'hidden /etc/web/opened',
      'conflict /etc/web/pipe',
    ];
    const table = (await service.ok(['upgrade', '--dry-run'])).trimEnd().split('\n');
    assert.deepEqual(
      table.map((line) => line.split(/ +/).length),
      Array.from({ length: expected.length + 1 }, () => 5),
    );
    assert.deepEqual(await upgrade('--dry-run'), expected);
    assert.deepEqual(await upgrade(), expected);
    assert.deepEqual(await upgrade(), []);
    assert.equal((await service.run(['start'])).code, 0);
    assert.equal(await service.inside(all), 'opened 2\nchanged 1\nmore\nown 1\nmore\nkey 2\n');
    const facts = "cd /etc/keys; busybox stat -c '%a %u %g' key new new/key; busybox readlink new/link";
    assert.equal(await service.inside(facts), `${KEYS}key\n`);
    assert.equal(
      await service.inside('cd /etc/web; busybox readlink linked; busybox cat linked/key'),
      '/etc/keys\nkey 2\n',
    );
  });
}
