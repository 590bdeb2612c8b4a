/** The state in a directory, which a guest has filled. */
import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { DirectoryState } from '../../../../src/service/upgrade/directory-state.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

/** More than the kernel hands out at once. */
const MANY = 5000;

describe('a state in a directory', () => {
  it('is read piece by piece, so what has gone meanwhile is not seen', (t) => {
    const directory = scratchDirectory(t);
    const upper = join(directory, 'layers/upper');
    mkdirSync(upper, { recursive: true });
    for (let number = 0; number < MANY; number += 1) writeFileSync(join(upper, `file-${number}`), '');
    const kept = { directory, layers: join(directory, 'layers'), root: '/', kind: 'machine' } as const;
    const tree = new DirectoryState(kept, undefined).open({ mount: '', way: ['upper'] });
    let count = 0;
    for (const name of tree.names()) {
      if (count === 0) {
        assert.equal(tree.look(name)?.kind, 'other');
        rmSync(upper, { recursive: true });
      }
      count += 1;
    }
    assert.ok(count > 0 && count < MANY, `${count}`);
    tree.close();
  });
});
