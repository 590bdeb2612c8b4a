/** Which machines are better off without transparent huge pages: docs/decisions/0043-pools.md. */
import type { Prepared } from './prepared.js';

/**
 * One that waits, and is emulated and restored. Its memory is a file, which has none; what would have some is translated
 * code, and they hold 3 MB more of it than there is.
 */
export function wantsSmallPages(prepared: Prepared): boolean {
  if (prepared.platform === 'container') return false;
  const { waits = false, snapshot, acceleration } = prepared;
  return waits && snapshot !== undefined && acceleration === 'tcg';
}
