/** The order in which variants are measured. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inOrderOf } from '../../../../src/bench/run/order.js';

const rounds = (count: number, variants: string) =>
  Array.from({ length: count }, (_, round) => inOrderOf(round, [...variants]).join(''));

test('two variants come first and last equally often', () => {
  assert.deepEqual(rounds(4, 'AB'), ['AB', 'BA', 'BA', 'AB']);
});

test('three variants are measured in every order', () => {
  assert.deepEqual(rounds(6, 'ABC').sort(), ['ABC', 'ACB', 'BAC', 'BCA', 'CAB', 'CBA']);
});

test('one variant stays alone', () => {
  assert.deepEqual(rounds(3, 'A'), ['A', 'A', 'A']);
});
