/**
 * What must be loaded, and in which order.
 */

import { normalizeName } from './names.js';
import type { ModuleFile } from './parse.js';
import type { ModuleTree } from './tree.js';

/** A depth-first walk that puts each module behind everything it wants before it. */
class Walk {
  readonly order: ModuleFile[] = [];
  readonly #seen = new Set<string>();

  constructor(private readonly tree: ModuleTree) {}

  /** Adds a module that is a file; what is built in or absent needs nothing. */
  async visit(name: string): Promise<void> {
    const module = this.tree.modules.get(name);
    // Marked on the way in: soft dependencies may form a circle, and then any order is as good as another.
    if (module === undefined || this.tree.builtin.has(name) || this.#seen.has(name)) return;
    this.#seen.add(name);
    // The order is modprobe's. modules.dep lists a dependency before what that one needs itself, so the last comes first.
    for (const dependency of module.dependencies.toReversed()) await this.visit(dependency);
    const soft = this.tree.soft.get(name);
    for (const target of soft?.before ?? []) await this.visitTarget(target);
    // A module asks for its weak dependencies itself while it runs. No modprobe answers inside, so they come first.
    for (const target of this.tree.weak.get(name) ?? []) await this.visitTarget(target);
    this.order.push(module);
    for (const target of soft?.after ?? []) await this.visitTarget(target);
  }

  /** A soft dependency names a module or an alias; one that is neither is ignored: it is only a wish. */
  async visitTarget(target: string): Promise<void> {
    if (this.tree.builtin.has(target)) return;
    if (this.tree.modules.has(target)) {
      await this.visit(target);
      return;
    }
    // What the kernel has in itself need not be loaded a second time as a faster variant.
    if ((await this.tree.builtinAliases()).lookUp(target).length > 0) return;
    for (const name of (await this.tree.aliases()).lookUp(target)) await this.visit(name);
  }
}

/**
 * The modules `names` and all that they depend on, in load order: dependencies, then soft `pre`, then weak ones before a
 * module, soft `post` ones behind it, each once. A name that is built in or absent adds nothing.
 */
export async function closureOf(tree: ModuleTree, names: Iterable<string>): Promise<ModuleFile[]> {
  const walk = new Walk(tree);
  for (const name of names) await walk.visit(normalizeName(name));
  return walk.order;
}
