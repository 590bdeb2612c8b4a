/** Columns for a person, and JSON for a program. */

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { columns, jsonOfLists, jsonText } from '../../../src/cli/output.js';

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

it('JSON has no character that a terminal acts on', () => {
  const value = { name: '\u001b[31m\u009b31m\u2028ä' };
  const text = jsonText(value);
  assert.equal(text, '{\n  "name": "\\u001b[31m\\u009b31m\\u2028ä"\n}\n');
  assert.deepEqual(JSON.parse(text), value);
});

it('lists are the same JSON in pieces, each of one text', () => {
  const long = '\u0001'.repeat(1000);
  for (const lists of [{}, { none: [] }, { one: ['a\n"\u202e'], none: [], two: [long, '\udcff'] }]) {
    const pieces = [...jsonOfLists(lists)];
    assert.equal(pieces.join(''), jsonText(lists));
    assert.ok(pieces.every((piece) => piece.length < 7 * long.length));
  }
});

it('JSON has no character that changes how others look', () => {
  const value = { name: 'a\u202egpj\u200b\u{e0041}' };
  const text = jsonText(value);
  assert.equal(text, '{\n  "name": "a\\u202egpj\\u200b\\udb40\\udc41"\n}\n');
  assert.deepEqual(JSON.parse(text), value);
});
