/** The line that says what takes so long. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { fitting } from '../../../../src/cli/terminal/progress-line.js';

it('a line is cut to the width of the terminal, less the last column', () => {
  const text = 'program: reading localhost:5000/\u{1f600}image…';
  const { length } = [...text];
  assert.equal(fitting(text, undefined), text);
  assert.equal(fitting(text, length + 1), text);
  for (const columns of [length, 20, 3]) {
    const cut = fitting(text, columns);
    assert.equal([...cut].length, columns - 1);
    assert.ok(cut.endsWith('…') && text.startsWith(cut.slice(0, -1)));
  }
});
