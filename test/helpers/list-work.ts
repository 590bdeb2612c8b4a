/** Counts the work on lists, so that a test can tell work that grows with the square of an input without a clock. */

/** How many elements of arrays `work` visits by loops, copies and searches, if all were visited to their ends. */
export function elementsVisited(work: () => void): number {
  const { [Symbol.iterator]: iterate, includes } = Array.prototype;
  let visited = 0;
  const counting = <T extends unknown[], R>(method: (this: unknown[], ...parameters: T) => R) =>
    function (this: unknown[], ...parameters: T): R {
      visited += this.length;
      return method.apply(this, parameters);
    };
  try {
    Object.assign(Array.prototype, { [Symbol.iterator]: counting(iterate), includes: counting(includes) });
    work();
    return visited;
  } finally {
    Object.assign(Array.prototype, { [Symbol.iterator]: iterate, includes });
  }
}
