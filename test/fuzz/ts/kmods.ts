/** The text files of a module tree: every index, the order of loading, and the strings in a module. */
import assert from 'node:assert/strict';
import { closureOf } from '../../../src/kmods/load-order.js';
import { moduleVersions } from '../../../src/kmods/modinfo.js';
import {
  LineError,
  parseAliases,
  parseBuiltin,
  parseBuiltinAliases,
  parseDependencies,
  parseSoftDependencies,
  parseWeakDependencies,
} from '../../../src/kmods/parse.js';
import type { ModuleTree } from '../../../src/kmods/tree.js';
import { valueOrRefusal } from './support/expect.js';
import { partsOf } from './support/input.js';
import type { Target } from './support/target.js';

/** Separates the files in an input. No module tree has it in a name. */
const SEPARATOR = 0xff;
/** How many modules are asked for. */
const ASKED = 4;

export const target: Target = {
  kind: 'settling',
  mostBytes: 4096,
  quickRuns: 8000,
  repeats: true,
  async read(data) {
    moduleVersions(data);
    const [dep = '', builtin = '', soft = '', weak = '', alias = '', modinfo = ''] = partsOf(data, SEPARATOR, 6).map(
      (part) => part.toString('latin1'),
    );
    const modules = valueOrRefusal(() => parseDependencies(dep), LineError);
    if (modules === undefined) return;
    const aliases = parseAliases(alias);
    const builtinAliases = parseBuiltinAliases(modinfo);
    const tree: ModuleTree = {
      ...{ version: '6.1', directory: '/memory', modules, builtin: parseBuiltin(builtin) },
      ...{ soft: parseSoftDependencies(soft), weak: parseWeakDependencies(weak) },
      builtinAliases: async () => builtinAliases,
      aliases: async () => aliases,
    };
    const names = [...modules.keys()].slice(0, ASKED);
    const order = (await closureOf(tree, names)).map(({ name }) => name);
    const loaded = new Set(order);
    assert.equal(loaded.size, order.length, 'a module is loaded twice');
    for (const name of order) {
      for (const needed of modules.get(name)?.dependencies ?? [])
        assert.ok(loaded.has(needed) || tree.builtin.has(needed), `${name} is loaded without ${needed}`);
    }
    for (const name of names) assert.ok(loaded.has(name) || tree.builtin.has(name));
  },
};
