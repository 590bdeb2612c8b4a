/** Finds more candidates by measuring the initcalls of a boot. */
import { Interrupted } from '../run/process.js';
import { takeSample } from '../run/sample.js';
import type { Session } from '../run/session.js';
import type { SandboxVariant } from '../run/variant.js';
import { type KernelLog, parseKernelLog } from '../timeline/kernel-log.js';
import { CANDIDATES, type Candidate, mayBeSkipped } from './candidates.js';

/**
 * Finds initcalls that take long and that nothing is known to need.
 * @param least microseconds of the guest's clock
 */
export async function measuredInitcalls(session: Session, base: SandboxVariant, least: number): Promise<Candidate[]> {
  try {
    const { log } = await takeSample(base, { ...session, inDetail: true });
    return log === undefined ? [] : longInitcalls(parseKernelLog(log), least);
  } catch (error) {
    if (error instanceof Interrupted) return [];
    throw error;
  }
}

function longInitcalls({ initcalls }: KernelLog, least: number): Candidate[] {
  const known = new Set(CANDIDATES.map(({ name }) => name));
  return initcalls
    .filter(
      ({ name, module, microseconds }) =>
        module === undefined &&
        !name.startsWith('probe of') &&
        microseconds >= least &&
        !known.has(name) &&
        mayBeSkipped(name),
    )
    .map(({ name }) => ({
      kind: 'initcall' as const,
      name,
      why: 'took long when it was measured',
      risk: 'not known: it was found by measuring alone; see that what you need still works',
    }));
}
