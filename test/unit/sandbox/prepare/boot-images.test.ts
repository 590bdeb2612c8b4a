/** A start looks up each boot image once. */

import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadProfile } from '../../../../src/profile/load.js';
import { BootImages } from '../../../../src/sandbox/prepare/boot-images.js';
import { SnapshotHost, unlessDriver } from '../../../helpers/snapshot-hosts.js';

test('the result of a lookup is kept, also if nothing was found', { skip: unlessDriver }, async (context) => {
  const here = new SnapshotHost(context);
  const config = await here.config({});
  const profile = await loadProfile(undefined);
  const image = await here.image();
  const { sets } = image.manifest;
  const images = new BootImages(config, profile, {}, false);
  const known = images.known(sets);
  assert.equal(known?.id, image.id);
  assert.equal(images.known(['console']), undefined);
  rmSync(join(here.store, '.index'), { recursive: true });
  assert.equal(images.known(sets), known);
  assert.equal(await images.find(sets), known);
  // Without the index another start has to build, and keeps the result.
  const other = new BootImages(config, profile, {}, false);
  assert.equal(other.known(sets), undefined);
  const built = await other.find(sets);
  assert.equal(built.id, image.id);
  assert.equal(other.known(sets), built);
});
