/** Computes which modules must be loaded, and in which order. */

import { normalizeName } from './names.js';
import type { ModuleFile } from './parse.js';
import type { ModuleTree } from './tree.js';

/** How many modules deep the walk goes before it lets the stack unwind. Real ones are about ten deep. */
const DEPTH_OF_A_STACK = 256;

/** A depth-first walk. Each module comes after everything that must be loaded before it. */
class Walk {
  readonly order: ModuleFile[] = [];
  readonly #seen = new Set<string>();
  /** Targets that are no module and were looked up. */
  readonly #lookedUp = new Set<string>();
  #depth = 0;

  constructor(private readonly tree: ModuleTree) {}

  /** Adds a module and its dependencies. Built-in and absent modules add nothing. */
  async visit(name: string): Promise<void> {
    const module = this.tree.modules.get(name);
    // Marked before the recursion, since soft dependencies may form a circle. Any order is right then.
    if (module === undefined || this.tree.builtin.has(name) || this.#seen.has(name)) return;
    this.#seen.add(name);
    this.#depth += 1;
    // What follows a wait begins with an empty stack. A hostile tree may need one module after the other without end.
    if (this.#depth % DEPTH_OF_A_STACK === 0) await undefined;
    // This is modprobe's order. modules.dep lists a module before its own dependencies, so the last is loaded first.
    for (const dependency of module.dependencies.toReversed()) await this.visit(dependency);
    const soft = this.tree.soft.get(name);
    for (const target of soft?.before ?? []) await this.visitTarget(target);
    // A module requests its weak dependencies at run time. The guest has no modprobe to answer, so they are loaded
    // first.
    for (const target of this.tree.weak.get(name) ?? []) await this.visitTarget(target);
    this.order.push(module);
    for (const target of soft?.after ?? []) await this.visitTarget(target);
    this.#depth -= 1;
  }

  /** Adds a soft or weak dependency: a module or an alias. One that is neither is ignored, since it is optional. */
  async visitTarget(target: string): Promise<void> {
    if (this.tree.builtin.has(target)) return;
    if (this.tree.modules.has(target)) {
      await this.visit(target);
      return;
    }
    if (this.#lookedUp.has(target)) return;
    this.#lookedUp.add(target);
    // If the kernel has a built-in implementation, do not load a faster variant of it.
    if ((await this.tree.builtinAliases()).lookUp(target).length > 0) return;
    for (const name of (await this.tree.aliases()).lookUp(target)) await this.visit(name);
  }
}

/**
 * The modules `names` and all that they depend on, each once, in load order. Dependencies, soft `pre` dependencies and
 * weak dependencies come before a module, in this order; soft `post` dependencies come after it. Built-in and absent
 * names add nothing.
 */
export async function closureOf(tree: ModuleTree, names: Iterable<string>): Promise<ModuleFile[]> {
  const walk = new Walk(tree);
  for (const name of names) await walk.visit(normalizeName(name));
  return walk.order;
}
