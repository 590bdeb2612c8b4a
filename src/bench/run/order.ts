/** In which order variants take turns. */

/**
 * Each round has another order, A B B A B A A B: with two or three variants each comes as often behind each other. A run goes faster behind one that has used
 * as much memory, and slower behind one that has used less: a machine that is itself a guest gives what is free back to its host.
 * @param round 0 for the first
 */
export function inOrderOf<Item>(round: number, variants: readonly Item[]): Item[] {
  const turned = variants.map((_, at) => variants[(at + (round >> 1)) % variants.length] as Item);
  return round % 2 === 0 ? turned : turned.reverse();
}
