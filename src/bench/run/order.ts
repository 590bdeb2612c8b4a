/** The order in which variants take turns. */

/**
 * The order of one round. Orders alternate as in A B B A B A A B, so that with two or three variants each follows each
 * other equally often. That matters because a run is faster after one that used as much memory, and slower after one
 * that used less: a machine that is itself a guest gives free memory back to its host.
 * @param round 0 for the first
 */
export function inOrderOf<Item>(round: number, variants: readonly Item[]): Item[] {
  const turned = variants.map((_, at) => variants[(at + (round >> 1)) % variants.length] as Item);
  return round % 2 === 0 ? turned : turned.reverse();
}
