/** Paths, raw text and the key file: laws that hold for any text. */
import assert from 'node:assert/strict';
import { hashOrder } from '../../../src/config/hash-order.js';
import { includesOf, pathBelow, pathFromBelow } from '../../../src/config/include-mount.js';
import { covers, normalizePath } from '../../../src/config/path.js';
import { KeyFile } from '../../../src/config/sandbox-cfg/keyfile.js';
import type { Mount } from '../../../src/config/types.js';
import { oneLine, SandboxError } from '../../../src/util/errors.js';
import { bytesOf, isRaw, textOf } from '../../../src/util/raw-text.js';
import { valueOrRefusal } from './support/expect.js';
import { partsOf } from './support/input.js';
import type { Target } from './support/target.js';

/** Separates the texts in an input. */
const SEPARATOR = 0;

function mountOn(target: string, include: string): Mount {
  return { type: 'ram', target, usage: 1, includes: [{ target: include, source: '/a' }] };
}

/** A value is read back from a key file as it was written. */
function valueComesBack(value: string): void {
  const file = new KeyFile('a');
  if (valueOrRefusal(() => file.set('group', 'key', value), SandboxError) === undefined && isRaw(value)) return;
  assert.equal(KeyFile.parse(file.toString(), 'b').get('group', 'key'), value);
}

export const target: Target = {
  kind: 'sync',
  mostBytes: 1024,
  quickRuns: 5000,
  read(data) {
    assert.ok(bytesOf(textOf(data)).equals(data), 'raw text does not come back');
    const texts = partsOf(data, SEPARATOR, 64).map((part) => part.toString());
    const paths = texts.map((text) => `/${text}`);
    for (const text of texts.slice(0, 4)) {
      assert.doesNotMatch(oneLine(text), /\p{Cc}/u);
      valueComesBack(text);
    }
    for (const path of paths.slice(0, 4)) assert.equal(normalizePath(normalizePath(path)), normalizePath(path));
    const [above = '/', below = '/'] = paths;
    if (covers(above, below)) {
      const dst = pathBelow(above, below);
      assert.equal(normalizePath(pathFromBelow(above, dst, (path) => covers(above, path))), normalizePath(below));
      assert.equal(includesOf([mountOn(above, below)]).length, 1);
    }
    const keys = [...new Set(texts)];
    assert.deepEqual([...hashOrder(keys)].sort(), keys.sort());
  },
};
