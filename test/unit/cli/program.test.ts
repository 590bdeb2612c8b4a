/** What a program says of its failure. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failureOf } from '../../../src/cli/program.js';

test('an unexpected error, whatever its message has, does nothing to a terminal', () => {
  const { text, status } = failureOf('virt-sandbox', new Error('\u001b]0;x\u0007\rb\nvirt-sandbox: all is well'));
  assert.equal(status, 125);
  assert.match(text, /^virt-sandbox: internal error, please report it: Error: \\u\{1b\}\]0;x\\u\{7\}\\rb\n {2}virt/);
  assert.match(text, /\n {6}at .*program\.test/);
  assert.match(failureOf('x', 'a\u001b').text, /a\\u\{1b\}\n$/);
});
