/** File systems that are made, and how that is cancelled. */
import assert from 'node:assert/strict';
import { lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { it, type TestContext } from 'node:test';
import { pullImage } from '../../../../src/oci/pull/pull.js';
import { parseRootImage } from '../../../../src/oci-names/root-image.js';
import { rejectsWith } from '../../../helpers/errors.js';
import { testImage, writeLayout } from '../../../helpers/oci/image.js';
import { testStore } from '../../../helpers/oci/store.js';
import { tarOf } from '../../../helpers/oci/tar.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

/** A signal that is aborted by who asks it as soon as something is so. */
function abortedWhen(isSo: () => boolean): AbortSignal {
  const controller = new AbortController();
  const { signal } = controller;
  const { aborted } = Object.getOwnPropertyDescriptors(AbortSignal.prototype);
  Object.defineProperty(signal, 'aborted', {
    get: () => {
      if (isSo()) controller.abort();
      return aborted.get?.call(signal) as boolean;
    },
  });
  return signal;
}

function layoutOf(context: TestContext): string {
  const image = testImage([tarOf({ name: 'etc/passwd', data: 'root:x:0:0::/:/bin/sh\n' })]);
  const layout = join(scratchDirectory(context), 'layout');
  writeLayout(layout, image.blobs, [{ blob: image.manifest }]);
  return layout;
}

const isThere = (path: string) => lstatSync(path, { throwIfNoEntry: false }) !== undefined;

for (const [what, name, isSo] of [
  // What is written last is its mode.
  [
    'before it waits for the disk',
    'root.erofs',
    (path: string) => isThere(path) && (lstatSync(path).mode & 0o200) === 0,
  ],
  // This one is written when the file system is on the disk.
  ['while its digest is calculated', 'passwd', isThere],
] as const)
  it(`the making of a file system is cancelled ${what}`, async (context) => {
    const store = testStore(context);
    const image = parseRootImage(`oci:${layoutOf(context)}`);
    const isAnywhere = () =>
      readdirSync(store.paths.roots, { recursive: true, encoding: 'utf8' })
        .filter((path) => path.endsWith(`/${name}`))
        .some((path) => isSo(join(store.paths.roots, path)));
    await rejectsWith(pullImage(image, { ...store.options, signal: abortedWhen(isAnywhere) }), 'aborted');
    assert.deepEqual(
      store.files().filter((path) => path.startsWith('roots/')),
      [],
    );
    await pullImage(image, store.options);
    assert.ok(isAnywhere());
  });
