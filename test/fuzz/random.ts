/** Pseudo-random numbers, the same in every run, so that a failure repeats. */

/** The next integer, from 0 up to but not including its argument. */
export type Random = (below: number) => number;

/** @param seed not 0 */
export function randomNumbers(seed: number): Random {
  let state = seed >>> 0;
  return (below) => {
    // xorshift32
    state ^= state << 13;
    state >>>= 0;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state % below;
  };
}
