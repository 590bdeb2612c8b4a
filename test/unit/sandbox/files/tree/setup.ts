/** A copy in a test: the native init, and places beside it. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { scratchDirectory } from '../../../../helpers/scratch.js';
import { nativeGuest } from './guests.js';

export async function setUp(t: TestContext) {
  const top = scratchDirectory(t);
  const [source, inside, back] = ['source', 'inside', 'back'].map((name) => join(top, name));
  assert.ok(source !== undefined && inside !== undefined && back !== undefined);
  const { channel, init } = await nativeGuest(t);
  return { top, source, inside, back, channel, init };
}
