/** Errors stay on one line, whatever the input. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { escapeLines, oneLine } from '../../../src/util/errors.js';
import { assertFailure, runSandbox } from '../../helpers/run.js';

test('characters that begin a line or control a terminal are escaped', () => {
  assert.equal(oneLine('a\nb\r\t\u001b[31m\u009b\u2028é\\n'), 'a\\nb\\r\\t\\u{1b}[31m\\u{9b}\\u{2028}é\\n');
});

test('characters that change how others look are escaped', () => {
  // From right to left, no width, a tag beyond U+FFFF.
  assert.equal(oneLine('a\u202egpj\u200b\u2066\ufeff\u{e0041}'), 'a\\u{202e}gpj\\u{200b}\\u{2066}\\u{feff}\\u{e0041}');
});

test('lines and tabs stay where text of several lines is shown', () => {
  assert.equal(escapeLines('a\tb\r\n\u001b[2Jc\rd\u202e\n\r'), 'a\tb\r\n\\u{1b}[2Jc\\rd\\u{202e}\n\\r');
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
