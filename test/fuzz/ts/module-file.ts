/** Files of modules, packed and not: damage and foreign modules are refused with their path. */
import assert from 'node:assert/strict';
import { moduleVersions } from '../../../src/kmods/modinfo.js';
import { readModules } from '../../../src/kmods/read.js';
import type { ModuleTree } from '../../../src/kmods/tree.js';
import { SandboxError } from '../../../src/util/errors.js';
import { settledOrRefused } from './support/expect.js';
import { MEMORY, putFile } from './support/memory-files.js';
import type { Target } from './support/target.js';

const TREE = { version: '6.12.118+deb13-amd64', directory: MEMORY } as ModuleTree;

/** In bytes. Less than modules have, since to ask for memory takes time. */
const LIMITS = { each: 1 << 20, together: 1 << 19 };

export const target: Target = {
  kind: 'async',
  mostBytes: 4096,
  quickRuns: 1000,
  async read(data) {
    putFile('a.ko', data);
    const wanted = [{ name: 'a', path: 'a.ko', dependencies: [] }];
    const read = await settledOrRefused(readModules(TREE, wanted, { note() {} }, LIMITS), SandboxError);
    const [module] = read ?? [];
    if (module === undefined) return;
    assert.equal(module.fileName, 'a.ko');
    moduleVersions(module.data);
  },
};
