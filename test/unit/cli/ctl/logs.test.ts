/** How virt-sandbox-ctl shows a log. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ForeignText } from '../../../../src/cli/ctl/logs.js';

test("another user's log does nothing to root's terminal", () => {
  const text = new ForeignText();
  const umlaut = Buffer.from('ä');
  assert.equal(
    text.of(Buffer.from('\u001b]52;c;eA==\u0007\ta\r\n\u202eb\u009b31m\r')),
    '\\u{1b}]52;c;eA==\\u{7}\ta\r\n\\u{202e}b\\u{9b}31m\\r',
  );
  assert.equal(
    text.of(umlaut.subarray(0, 1)) + text.of(Buffer.concat([umlaut.subarray(1), Buffer.of(0xff, 10)])),
    'ä\ufffd\n',
  );
});
