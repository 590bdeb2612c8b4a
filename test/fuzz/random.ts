/** Numbers that look random and are the same every time: what failed once fails again. */

/** The next one: an integer from 0 up to, not including, its argument. */
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
