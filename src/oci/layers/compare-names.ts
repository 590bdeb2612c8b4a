/** Compares two trees of names: what one has of the other, what it has besides, and what it lacks. */

/** In the words of `virt-sandbox-ctl diff`: added, changed, deleted. */
export type DifferenceKind = 'A' | 'C' | 'D';

export interface Difference {
  readonly kind: DifferenceKind;
  /** From `/` on; bytes as characters of latin1. */
  readonly path: string;
}

/** A tree of names. */
export interface NameTree<Node> {
  readonly root: Node;
  /** What is in a directory, in any order; undefined: the node is no directory. */
  names(node: Node): Promise<ReadonlyMap<string, Node> | undefined>;
}

/**
 * What `after` has that `before` has not, and the other way round, in the order of the paths' parts. A directory in
 * which something differs differs too, but for the root. All that is in a directory that was added or deleted is there.
 * @param isSame of what both have, whether it is the same but for what is in it
 */
export function compareNames<Before, After>(
  before: NameTree<Before>,
  after: NameTree<After>,
  isSame: (before: Before, after: After) => Promise<boolean>,
): Promise<Difference[]> {
  return new Comparison(before, after, isSame).run();
}

class Comparison<Before, After> {
  constructor(
    private readonly before: NameTree<Before>,
    private readonly after: NameTree<After>,
    private readonly isSame: (before: Before, after: After) => Promise<boolean>,
  ) {}

  async run(): Promise<Difference[]> {
    const found: Difference[] = [];
    if (!(await this.isSame(this.before.root, this.after.root))) found.push({ kind: 'C', path: '/' });
    await this.#inside('', this.before.root, this.after.root, found);
    return found;
  }

  /** @param path without a slash at its end */
  async #inside(path: string, before: Before, after: After, found: Difference[]): Promise<void> {
    const [old, now] = [await this.before.names(before), await this.after.names(after)];
    const names = new Set([...(old?.keys() ?? []), ...(now?.keys() ?? [])]);
    for (const name of [...names].sort()) {
      const [from, to] = [old?.get(name), now?.get(name)];
      const at = `${path}/${name}`;
      if (from !== undefined && to !== undefined) await this.#both(at, from, to, found);
      else if (to !== undefined) await all('A', at, this.after, to, found);
      else if (from !== undefined) await all('D', at, this.before, from, found);
    }
  }

  async #both(path: string, before: Before, after: After, found: Difference[]): Promise<void> {
    const at = found.length;
    // Its place is before what is in it, which is known later.
    found.push({ kind: 'C', path });
    await this.#inside(path, before, after, found);
    if (found.length === at + 1 && (await this.isSame(before, after))) found.pop();
  }
}

/** A node, and all that is in it. */
async function all<Node>(
  kind: DifferenceKind,
  path: string,
  tree: NameTree<Node>,
  node: Node,
  found: Difference[],
): Promise<void> {
  found.push({ kind, path });
  const names = (await tree.names(node)) ?? new Map<string, Node>();
  for (const [name, child] of [...names].sort(([a], [b]) => (a < b ? -1 : 1)))
    await all(kind, `${path}/${name}`, tree, child, found);
}
