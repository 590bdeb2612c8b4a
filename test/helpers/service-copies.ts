/** What create copies into the state of a service, as root inside finds it. The same in machines and in containers. */
import assert from 'node:assert/strict';
import { chmodSync, linkSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import type { Way } from './connections.js';
import { scratchDirectory, WITH_ATTRIBUTES } from './scratch.js';
import { serviceOf } from './services.js';
import { fingerprint } from './tree-listing.js';

const STAYS = 'exec sleep 1000';

/** Defines the tests. @param options of create: where the state is */
export function itReadsCopies(way: Way, what: string, options: readonly string[] = []): void {
  it(`has its own copies of what only root may read, in ${what}`, async (t) => {
    // Not in /tmp, which a sandbox has of its own.
    const ground = scratchDirectory(t, WITH_ATTRIBUTES);
    const closed = join(ground, 'closed');
    mkdirSync(join(closed, 'sub'), { recursive: true });
    chmodSync(closed, 0o700);
    writeFileSync(join(ground, 'key'), 'key\n', { mode: 0o600 });
    writeFileSync(join(ground, 'other'), 'other\n', { mode: 0o600 });
    writeFileSync(join(ground, 'open'), 'open\n');
    writeFileSync(join(closed, 'file'), 'file\n');
    linkSync(join(closed, 'file'), join(closed, 'sub/hard'));
    symlinkSync('file', join(closed, 'link'));
    const before = fingerprint(ground);
    const paths = ['--copy-path', join(ground, 'key'), '--copy-path', closed];
    const [with_, without] = [
      await serviceOf(t, way, { options: [...options, ...paths], script: STAYS, isKept: true }),
      await serviceOf(t, way, { options, script: STAYS, isKept: true }),
    ];
    for (const each of [with_, without]) assert.equal((await each.run(['start'])).code, 0);
    const cd = `cd ${ground}; exec 2>/dev/null;`;
    assert.equal(await without.inside(`${cd} cat key; ls closed; cat closed/file; echo end`), 'end\n');
    assert.equal(
      await with_.inside(
        `${cd} cat key open; ls closed closed/sub; cat closed/link; stat -c '%a %u %h' key closed/file`,
      ),
      'key\nopen\nclosed:\nfile\nlink\nsub\n\nclosed/sub:\nhard\nfile\n600 0 1\n644 0 2\n',
    );
    // What is not copied stays closed.
    assert.equal(await with_.inside(`${cd} cat other; echo end`), 'end\n');
    const change = 'echo mine >> key; rm closed/link; echo new > closed/new; mv closed/sub closed/moved; chmod 640 key';
    await with_.inside(`${cd} ${change}; sync`);
    await with_.run(['restart']);
    const after = `${cd} cat key; ls closed closed/moved; stat -c %a key`;
    assert.equal(await with_.inside(after), 'key\nmine\nclosed:\nfile\nmoved\nnew\n\nclosed/moved:\nhard\n640\n');
    assert.equal(fingerprint(ground), before);
    assert.equal(readFileSync(join(ground, 'key'), 'utf8'), 'key\n');
    assert.deepEqual(readdirSync(closed), ['file', 'link', 'sub']);
  });
}
