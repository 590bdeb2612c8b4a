/** The grammar of `--hide`. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseHide } from '../../../../src/config/parsers/hide.js';
import { refuses } from '../support.js';

const FROM = { secrets: true, paths: ['/old'] };

test('paths to hide add to those that are there, and none shows where keys are', () => {
  assert.deepEqual(parseHide([], FROM), FROM);
  assert.deepEqual(parseHide(['/a', '/b c'], FROM), { secrets: true, paths: ['/old', '/a', '/b c'] });
  assert.deepEqual(parseHide(['none', '/a'], FROM), { secrets: false, paths: ['/old', '/a'] });
  assert.deepEqual(parseHide([], { secrets: false, paths: [] }), { secrets: false, paths: [] });
});

test('a relative path is refused, and so is the root', async () => {
  for (const path of ['/', '//', '/a/..'])
    await refuses(() => parseHide([path], FROM), 'arguments', 'hide-root', 'nothing');
  for (const path of ['', 'a', '~/a', 'None'])
    await refuses(() => parseHide([path], FROM), 'arguments', 'hide-not-absolute', JSON.stringify(path));
});
