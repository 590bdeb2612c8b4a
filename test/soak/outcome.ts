/** Which outcomes of a run are right. */
import { constants } from 'node:os';
import { APPLICATION_STATUS } from './sandbox.js';
import type { Outcome } from './watched.js';

/** What was done to the run. */
export interface Hit {
  /** `terminal` for one that hangs up, which is SIGHUP for the launcher. */
  readonly role: string;
  readonly signal: NodeJS.Signals;
  /** Over the embedded driver the machine ends with the supervisor. */
  readonly isEmbedded?: boolean;
  /** The root is served over virtiofs, by a child of what keeps a user's view of the host. */
  readonly servesRoot?: boolean;
}

/** One line, with what happened and what to do; a message that ends with a colon lacks its cause. */
export const FAILURE = /^virt-sandbox(-bake)?: [a-z]+: .*[^:\s]; .+$/m;

/** Who is asked to end by a signal, and says so by its status. */
const isLauncher = (hit: Hit | undefined) =>
  hit?.role === 'terminal' || (hit?.role === 'launcher' && hit.signal !== 'SIGSTOP');

/**
 * Without these nobody knows how the application ends; all others hold no status. A share that dies before it is
 * unmounted may have lost what was written, which is a failure too.
 */
const CARRIERS = new Set([
  ...['launcher', 'terminal', 'qemu', 'virt-qemu-run', 'libvirt_lxc', 'init', 'application'],
  ...['virtiofsd', 'share-server', 'root-server'],
]);

/**
 * Judges a run of the application of a soak.
 * @param hit the signal that reached its target; undefined if none did
 * @returns what is wrong
 */
export function judge(outcome: Outcome, hit: Hit | undefined): string[] {
  const { code, signal, out, err } = outcome;
  const isOver = /^over$/m.test(out);
  const ended = code ?? signal ?? 'none';
  if (signal !== null) return isLauncher(hit) && signal === hit?.signal ? [] : [`the launcher died of ${signal}`];
  if (code === APPLICATION_STATUS) {
    if (!isOver) return ['status 7, and the application has not ended'];
    // At a terminal both are one.
    return hit === undefined && err !== '' && err !== out ? ['an undisturbed run complains'] : [];
  }
  if (isLauncher(hit)) {
    // The application gets the signal; the sandbox may be gone before it runs, or fail at what it was doing.
    const expected = 128 + (constants.signals[hit?.signal ?? 'SIGTERM'] ?? 0);
    if (code === expected) return [];
  }
  if (code !== 125) return [`status ${ended}`];
  // Nobody reads what is said to a terminal that is gone.
  if (hit?.role === 'terminal') return [];
  if (!FAILURE.test(err)) return ['status 125 without a line that says why'];
  if (hit === undefined || hit.signal === 'SIGSTOP') return ['status 125 of a run that nothing was taken from'];
  const isCarrier =
    CARRIERS.has(hit.role) ||
    (hit.role === 'supervisor' && hit.isEmbedded === true) ||
    (hit.role === 'root-view' && hit.servesRoot === true) ||
    // A libvirtd that is told to end ends the domains of its clients.
    (hit.role === 'libvirtd' && (hit.signal === 'SIGINT' || hit.signal === 'SIGTERM'));
  return isOver && !isCarrier ? ['status 125, though the application ended with 7'] : [];
}
