/** Errors stay on one line, whatever the input. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { oneLine } from '../../../src/util/errors.js';
import { assertFailure, runSandbox } from '../../helpers/run.js';

test('characters that begin a line or control a terminal are escaped', () => {
  assert.equal(oneLine('a\nb\r\t\u001b[31m\u009b\u2028é\\n'), 'a\\nb\\r\\t\\u{1b}[31m\\u{9b}\\u{2028}é\\n');
});

test('errors are one line, and show empty values', async () => {
  for (const [args, pattern] of [
    [['-c', 'no\nsuch'], /the URI 'no\\nsuch' is not supported/],
    [['-c', '\u001b[31m'], /the URI '\\u\{1b\}\[31m' is not supported/],
    [['-c', ''], /the URI '' is not supported/],
    [['--profile', ''], /there is no profile ''/],
    [['-S', 'no\nsuch'], /no\\nsuch/],
  ] as const)
    assertFailure(await runSandbox([...args, '--', 'true']), pattern);
});
