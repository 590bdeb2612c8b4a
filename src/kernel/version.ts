/**
 * The order of kernel versions.
 */

/** Splits a version into its runs of digits and of letters; everything else only separates. */
function tokensOf(version: string): string[] {
  return version.match(/\d+|[a-z]+/gi) ?? [];
}

/** A release candidate comes before its release; any other word, and the end, in alphabetical order after that. */
function rankOf(token: string | undefined): number {
  if (token === undefined) return 1;
  if (/^rc$/i.test(token)) return 0;
  return /^\d/.test(token) ? 3 : 2;
}

/**
 * Compares two kernel versions the way their makers count: runs of digits as numbers (6.12.118 after 6.12.9), a release
 * candidate before its release (6.12-rc3 before 6.12), a longer version after its own beginning.
 *
 * @returns a negative number when `a` is older, a positive one when it is newer, 0 only for the same version.
 */
export function compareVersions(a: string, b: string): number {
  const left = tokensOf(a);
  const right = tokensOf(b);
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const x = left[i];
    const y = right[i];
    const rank = rankOf(x) - rankOf(y);
    if (rank !== 0) return rank;
    if (x === undefined || y === undefined || x === y) continue;
    const difference = rankOf(x) === 3 ? Number(BigInt(x) - BigInt(y)) : x < y ? -1 : 1;
    if (difference !== 0) return difference;
  }
  return a < b ? -1 : a > b ? 1 : 0;
}
