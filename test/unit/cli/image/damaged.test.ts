/** virt-sandbox-image where files of an image are damaged: verify finds them, and rm and prune say what stays. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { testImage } from '../../../helpers/oci/image.js';
import { LOWER, pulledImage, UPPER } from '../../../helpers/oci/pulled-image.js';
import { imageIn } from '../../../helpers/oci/registry.js';
import { damage } from '../../../helpers/oci/store.js';

const image = testImage([LOWER, UPPER]);
const ID = image.manifest.digest;
const SHORT = ID.slice('sha256:'.length, 'sha256:'.length + 12);

describe('an image that is there', () => {
  it('is verified, and its damage removed', async (context) => {
    const [program, , name] = await pulledImage(context, image);
    assert.equal(await program.out('verify'), `${name} (linux/amd64): whole\n`);
    assert.equal(await program.out('verify', name, SHORT, name), `${name} (linux/amd64): whole\n`);
    await program.out('tag', name, 'zoo.example/x:1');
    const [layer] = image.layers;
    const path = join(program.store, 'blobs', ...(layer?.digest ?? '').split(':'));
    damage(path);
    const found = await program.run(['verify', name]);
    assert.deepEqual([found.code, found.out], [1, `${name} (linux/amd64): ${path} has another content\n`]);
    const json = await program.run(['verify', '--json', name]);
    const which = { name: `docker://${name}`, platform: 'linux/amd64', id: ID };
    const problems = [{ path, problem: 'has another content' }];
    assert.deepEqual([json.code, JSON.parse(json.out)], [1, [{ ...which, whole: false, damage: problems }]]);
    // Of both names the same is told, though what is damaged is gone after the first.
    const removed = await program.run(['verify', '--remove']);
    const line = (of: string) => `${of} (linux/amd64): ${path} has another content\n`;
    assert.deepEqual([removed.code, removed.out], [1, line(name) + line('zoo.example/x:1')]);
    assert.ok(!existsSync(path));
    await program.fails(['verify', 'other'], /there is no image/);
  });

  it('that cannot be read keeps layers, and rm and prune say so', async (context) => {
    const [program, registry, name] = await pulledImage(context, image);
    registry.add(testImage([LOWER]), 'v2');
    await program.out('pull', imageIn(registry, 'v2'));
    const manifest = join(program.store, 'blobs', ...ID.split(':'));
    damage(manifest);
    const says = async (words: string[], stderr: RegExp) => {
      const result = await program.run(words);
      assert.equal(result.code, 0);
      assert.match(result.stderr, stderr);
      return result.out;
    };
    const why = new RegExp(
      `^virt-sandbox-image: layers stay [^\n]*: the manifest ${manifest} of ${name} \\(linux/amd64\\) is missing or ` +
        'damaged; pull that image again, or remove it\n$',
    );
    assert.match(await says(['prune'], why), /^0 blobs and 0 file systems removed, 0 B\n$/);
    const rm = JSON.parse(await says(['rm', '--json', imageIn(registry, 'v2')], why)) as { unreadable: object[] }[];
    assert.deepEqual(rm[0]?.unreadable, [{ path: manifest, name: `docker://${name}`, platform: 'linux/amd64' }]);
    const tags = join(program.store, 'tags');
    const record = join(tags, readdirSync(tags)[0] ?? '');
    writeFileSync(record, '');
    const which = new RegExp(`^virt-sandbox-image: layers and file systems stay [^\n]*: ${record} cannot be read`);
    await says(['prune', '--dry-run'], which);
    const all = await program.out('prune', '--all');
    assert.ok(all.startsWith(`${record}, which cannot be read: removed\n`), all);
    assert.deepEqual(readdirSync(tags), []);
  });
});
