/** What a program passes to a pool. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkTake } from '../../../../src/sandbox/pool/pool-schema.js';

test('a name that a sandbox is taken by is that of a sandbox', () => {
  checkTake({ name: 'first' });
  for (const name of ['.', '..', '../x', 'a/b', 'a\nb', ' '])
    assert.throws(() => checkTake({ name }), { code: 'name-invalid' });
  assert.throws(() => checkTake({ name: 'x'.repeat(201) }), { code: 'name-too-long' });
});
