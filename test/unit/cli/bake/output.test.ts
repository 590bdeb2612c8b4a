/** Columns for a person. */

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { columns } from '../../../../src/cli/output.js';

it('columns are as wide as their widest cell, and the last has no width', () => {
  const rows = [
    ['a', '100', 'x'],
    ['long', '1', 'longer'],
  ];
  assert.deepEqual(columns(rows), ['a     100  x', 'long  1    longer']);
  assert.deepEqual(columns([]), []);
});

it('an initrd may have more entries than a call takes arguments', () => {
  const lines = columns(Array.from({ length: 300_000 }, (_, i) => [String(i), 'x']));
  assert.equal(lines.length, 300_000);
  assert.equal(lines[7], '7       x');
});
