/** The order of kernel versions. */

/** Splits a version into runs of digits and runs of letters. Other characters only separate. */
function tokensOf(version: string): string[] {
  return version.match(/\d+|[a-z]+/gi) ?? [];
}

/** Kernels of Debian with less, or for a purpose: https://kernel-team.pages.debian.net/kernel-handbook/ */
const FLAVOUR = /^(?:cloud|rt)$/i;
const NUMBER = 4;

/**
 * Sorts tokens of different kinds: "rc" before the version's end, then flavours, so that of two kernels of one version
 * the general one comes out as the newer, then other words, then numbers.
 */
function rankOf(token: string | undefined): number {
  if (token === undefined) return 1;
  if (/^rc$/i.test(token)) return 0;
  if (FLAVOUR.test(token)) return 2;
  return /^\d/.test(token) ? NUMBER : 3;
}

/**
 * Compares two kernel versions. Runs of digits are numbers: 6.12.9 is before 6.12.118. A release candidate is before
 * its release: 6.12-rc3 is before 6.12. A flavour is before its general kernel: 6.12-cloud-amd64 is before 6.12-amd64. A
 * longer version is after its own beginning.
 *
 * @returns negative if `a` is older, positive if it is newer, 0 only if both are the same.
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
    const difference = rankOf(x) === NUMBER ? Number(BigInt(x) - BigInt(y)) : x < y ? -1 : 1;
    if (difference !== 0) return difference;
  }
  return a < b ? -1 : a > b ? 1 : 0;
}
