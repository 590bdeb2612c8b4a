/** A service whose host changes, and that is upgraded. The same in machines and in containers. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import type { Way } from './connections.js';
import { makeRoot } from './roots.js';
import { serviceOf } from './services.js';

/** Defines the test. */
export function itIsUpgraded(way: Way): void {
  it('sees what its host has newer after an upgrade, and keeps what it has changed', async (t) => {
    const root = makeRoot(t, 'etc/keys', 'etc/web', ...['dev', 'proc', 'sys', 'run', 'tmp', 'root']);
    const put = (path: string, text: string, mode = 0o644) => {
      writeFileSync(join(root, path), text);
      chmodSync(join(root, path), mode);
    };
    mkdirSync(join(root, 'etc/keys'), { recursive: true });
    for (const name of ['opened', 'changed', 'own']) put(`etc/web/${name}`, `${name} 1\n`);
    put('etc/keys/key', 'key 1\n', 0o600);
    chmodSync(join(root, 'etc/keys'), 0o700);
    const options = ['-r', root, '--copy-path', '/etc/keys'];
    const service = await serviceOf(t, way, { options, script: 'exec busybox sleep 1000', isKept: true });
    assert.equal((await service.run(['start'])).code, 0);
    // To be opened for writing is enough for a file to be copied.
    await service.inside('cd /etc/web; : >> opened; echo more >> changed; echo more >> own');
    await service.fails(['upgrade'], /runs, and what it has written cannot be looked at meanwhile; stop it first/);
    await service.ok(['stop']);
    for (const name of ['opened', 'changed']) put(`etc/web/${name}`, `${name} 2\n`);
    put('etc/keys/key', 'key 2\n', 0o600);
    assert.equal((await service.run(['start'])).code, 0);
    const all = 'busybox cat /etc/web/opened /etc/web/changed /etc/web/own /etc/keys/key';
    assert.equal(await service.inside(all), 'opened 1\nchanged 1\nmore\nown 1\nmore\nkey 1\n');
    await service.ok(['stop']);
    const { files } = JSON.parse(await service.ok(['upgrade', '--json'])) as {
      files: { path: string; verdict: string }[];
    };
    assert.deepEqual(
      files.map(({ path, verdict }) => [path, verdict]),
      [
        ['/etc/keys/key', 'hidden'],
        ['/etc/web/changed', 'conflict'],
        ['/etc/web/opened', 'hidden'],
      ],
    );
    assert.equal((await service.run(['start'])).code, 0);
    assert.equal(await service.inside(all), 'opened 2\nchanged 1\nmore\nown 1\nmore\nkey 2\n');
  });
}
