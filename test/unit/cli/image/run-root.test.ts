/** Which image virt-sandbox-image run means, and that it is this one whatever happens to its name. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { parseImageArguments } from '../../../../src/cli/image/arguments.js';
import { rootOf } from '../../../../src/cli/image/run.js';
import { identityOfSource } from '../../../../src/oci/pull/names.js';
import { obtainImage } from '../../../../src/oci/pull/obtain.js';
import { tagImage } from '../../../../src/oci/store/list.js';
import { findTag, writeTag } from '../../../../src/oci/store/tags.js';
import { parsePlatform } from '../../../../src/oci-names/platform.js';
import { parseRootImage } from '../../../../src/oci-names/root-image.js';
import { rejectsWith, throwsWith } from '../../../helpers/errors.js';
import { testImage, testIndex } from '../../../helpers/oci/image.js';
import { imageIn, startRegistry } from '../../../helpers/oci/registry.js';
import { pull, testStore } from '../../../helpers/oci/store.js';
import { tarOf } from '../../../helpers/oci/tar.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

const TAR = tarOf({ name: 'a', data: 'x' });
const amd = testImage([TAR]);
const arm = testImage([TAR], { architecture: 'arm64' });
const newer = testImage([tarOf({ name: 'a', data: 'newer' })]);
const idOf = ({ manifest }: typeof amd) => manifest.digest.slice('sha256:'.length);

function argumentsOf(...words: readonly string[]) {
  const request = parseImageArguments(['run', ...words]);
  assert.ok('args' in request);
  return request.args;
}

/** A store with an image for two platforms. */
async function withBoth(context: TestContext) {
  const [registry, store] = [await startRegistry(context), testStore(context)];
  registry.addBlob(...arm.blobs);
  const index = testIndex([
    { blob: amd.manifest, platform: 'linux/amd64' },
    { blob: arm.manifest, platform: 'linux/arm64' },
  ]);
  registry.add(amd, 'v1', index);
  for (const platform of ['amd64', 'arm64']) await pull(registry, store, 'v1', { platform: parsePlatform(platform) });
  const run = (...words: readonly string[]) => rootOf(argumentsOf(...words), store.paths);
  return { registry, store, index, run, name: imageIn(registry, 'v1') };
}

describe('virt-sandbox-image run', () => {
  it('means by an id the image that has it, for its platform', async (context) => {
    const { run, name } = await withBoth(context);
    for (const [image, platform] of [
      [amd, 'linux/amd64'],
      [arm, 'linux/arm64'],
    ] as const)
      for (const word of [image.manifest.digest, idOf(image), idOf(image).slice(0, 12)])
        assert.deepEqual(run(word), {
          root: `docker://${name}@${image.manifest.digest}`,
          more: [['platform', platform]],
        });
    throwsWith(() => run('--platform=amd64', arm.manifest.digest), 'image-not-found');
  });

  it('keeps what a digest says, when the name means another image by now', async (context) => {
    const { registry, store, index, run, name } = await withBoth(context);
    const { length } = registry.requests;
    for (const digest of [amd.manifest.digest, index.digest])
      for (const word of [`${name}@${digest}`, `${name.replace(/:v1$/, '')}@${digest}`]) {
        const { root, more } = run(word);
        assert.deepEqual([root, more], [`docker://${word}`, []]);
        const found = await obtainImage(parseRootImage(root), 'never', store.options);
        assert.equal(found.tag.manifest, amd.manifest.digest);
      }
    assert.equal(registry.requests.length, length);
    registry.add(newer, 'v1');
    const pinned = parseRootImage(run(`${name}@${amd.manifest.digest}`).root);
    const again = await obtainImage(pinned, 'always', store.options);
    assert.equal(again.tag.manifest, amd.manifest.digest);
    assert.equal(findTag(store.paths, `docker://${name}`, 'linux/amd64')?.manifest, amd.manifest.digest);
    await pull(registry, store);
    assert.equal((await obtainImage(pinned, 'never', store.options)).tag.manifest, amd.manifest.digest);
    await rejectsWith(
      obtainImage(parseRootImage(`docker://${name}@${index.digest}`), 'never', store.options),
      'image-not-pulled',
    );
  });

  it('asks nobody what an id is', async (context) => {
    const { run } = await withBoth(context);
    throwsWith(() => run('--pull=always', idOf(amd)), 'usage', /says which image it is/);
    for (const word of ['0'.repeat(64), `sha256:${'0'.repeat(8)}`, `sha256:${'0'.repeat(64)}`])
      throwsWith(() => run(word), 'image-not-found');
    // It may be a name.
    assert.equal(run('deadbeef').root, 'docker://docker.io/library/deadbeef:latest');
  });

  it('means by the id of a file the image that was read, and not what is in the file now', async (context) => {
    const store = testStore(context);
    const path = join(scratchDirectory(context), 'root.tar');
    writeFileSync(path, TAR);
    const { tag } = await obtainImage(parseRootImage(`tar:${path}`), 'missing', store.options);
    const run = () => rootOf(argumentsOf(tag.manifest), store.paths);
    // A file that was written just now counts as one that changes.
    throwsWith(run, 'image-changed', /which has changed since/);
    const settled = () => identityOfSource(parseRootImage(tag.name));
    while (settled() === undefined) await delay(50);
    await writeTag(store.paths, { ...tag, identity: settled() });
    const more = [
      ['platform', 'linux/amd64'],
      ['pull', 'never'],
    ];
    assert.deepEqual(run(), { root: tag.name, more });
    await writeTag(store.paths, { ...tag, identity: 'of before' });
    throwsWith(run, 'image-changed', /which has changed since/);
    // With a name that it was given, it needs no file.
    await tagImage(store.paths, tag, 'docker://docker.io/library/mine:1');
    const { root } = run();
    assert.equal(root, `docker://docker.io/library/mine:1@${tag.manifest}`);
    assert.equal((await obtainImage(parseRootImage(root), 'never', store.options)).tag.manifest, tag.manifest);
  });

  it('means by a name what virt-sandbox --root does', async (context) => {
    const { run, name } = await withBoth(context);
    assert.deepEqual(run(name), { root: `docker://${name}`, more: [] });
    assert.deepEqual(run('debian'), { root: 'docker://docker.io/library/debian:latest', more: [] });
  });
});
