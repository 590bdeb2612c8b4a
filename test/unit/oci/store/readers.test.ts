/** Who reads the file systems of a store. */
import assert from 'node:assert/strict';
import { readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { it } from 'node:test';
import { pullImage } from '../../../../src/oci/pull/pull.js';
import { letRead } from '../../../../src/oci/store/readers.js';
import { parseRootImage } from '../../../../src/oci-names/root-image.js';
import { testImage, writeLayout } from '../../../helpers/oci/image.js';
import { testStore } from '../../../helpers/oci/store.js';
import { tarOf } from '../../../helpers/oci/tar.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

it('are let in as far as they need it, and what is let in stays', async (context) => {
  const { paths, options } = testStore(context);
  const image = testImage([tarOf({ name: 'etc/passwd', data: 'root:x:0:0::/:/bin/sh\n' })]);
  const layout = join(scratchDirectory(context), 'layout');
  writeLayout(layout, image.blobs, [{ blob: image.manifest }]);
  await pullImage(parseRootImage(`oci:${layout}`), options);
  const [id = ''] = readdirSync(paths.roots).filter((name) => !name.startsWith('.'));
  const path = join(paths.root(id), 'root.erofs');
  const modes = () => [paths.roots, paths.root(id), path].map((at) => (statSync(at).mode & 0o777).toString(8));
  assert.deepEqual(modes(), ['700', '700', '444']);
  const group = process.getgroups?.().find((each) => each !== process.getgid?.()) ?? process.getgid?.() ?? 0;
  letRead(path, group);
  assert.deepEqual(modes(), ['711', '710', '444']);
  assert.equal(statSync(paths.root(id)).gid, group);
  paths.make();
  assert.deepEqual(modes(), ['711', '710', '444']);
  letRead(path, 'all');
  letRead(path, group);
  paths.make();
  assert.deepEqual(modes(), ['711', '711', '444']);
});

it('are let into nothing but a store', (context) => {
  const directory = scratchDirectory(context);
  const before = [directory, dirname(directory)].map((path) => statSync(path).mode);
  letRead(join(directory, 'image'), 'all');
  assert.deepEqual(
    [directory, dirname(directory)].map((path) => statSync(path).mode),
    before,
  );
});
