/** What the top layer of an image changes of those below it. */
import { compareNames, type Difference, type NameTree } from './compare-names.js';
import { indexLayers } from './index-layers.js';
import type { StoredLayer } from './layer-stream.js';
import type { Merge } from './merge.js';
import type { Node } from './tree.js';

/**
 * Reads all layers, and compares their names with those of all but the top one. What the top layer has counts as changed
 * whatever is in it, but for a directory that is as it was.
 * @param layers the lowest first
 * @throws {SandboxError} those of {@link indexLayers}
 */
export async function topLayerChanges(layers: readonly StoredLayer[], signal?: AbortSignal): Promise<Difference[]> {
  const below = await indexLayers(layers.slice(0, -1), signal);
  const whole = await indexLayers(layers, signal);
  const top = layers.length;
  return compareNames(treeOf(below), treeOf(whole), async (before, after) => {
    const { tree } = whole;
    if (tree.layer(after) !== top) return true;
    if (!tree.isDirectory(after) || !below.tree.isDirectory(before)) return false;
    return attributesText(below, before) === attributesText(whole, after);
  });
}

function treeOf({ tree }: Merge): NameTree<Node> {
  return {
    root: tree.root,
    names: async (node) =>
      tree.isDirectory(node)
        ? new Map(tree.children(node).map((child) => [tree.name(child), child] as const))
        : undefined,
  };
}

/** Those of a directory, without its time. */
function attributesText({ tree }: Merge, node: Node): string {
  const { mode, uid, gid, xattrs } = tree.attributes(node);
  return JSON.stringify([mode, uid, gid, [...(xattrs ?? [])].sort()]);
}
