/** The error of a root that could not be served. Nothing has run by then, so it may be served otherwise. */
import { SandboxError } from '../util/errors.js';
import { rootShareOf } from './domain-parts.js';
import type { PreparedMachine } from './prepare/prepared.js';
import type { LaunchOptions } from './types.js';

/** Codes of starts that failed since the root's server, or the view that it serves, could not be made. */
const CODES = ['root-server-failed', 'root-view-impossible'];

export class UnservedRoot extends SandboxError {}

/**
 * The same error, as one of a root that could not be served, if it is one.
 * @param hasBegun the guest was sent an operation, so the command may have run. Whatever the error says then, a guest or a
 *   QEMU that it has taken over may have chosen its words.
 */
export function asUnserved(error: unknown, hasBegun: boolean): unknown {
  if (hasBegun || !(error instanceof SandboxError) || error.stage !== 'domain' || !CODES.includes(error.code))
    return error;
  const { stage, code, message, remedy, exitCode, consoleTail, cause } = error;
  return new UnservedRoot({ stage, code, message, remedy, exitCode, consoleTail, cause });
}

/** What another root may lack. Why the first could not be served says more. */
const LACKS = ['feature-absent', 'image-lacks', 'warm-image-missing'];

/**
 * The same machine, with what else can serve its root, where the error is that of its server; undefined: nothing can.
 * @throws whatever else is wrong with the other one
 */
export async function withOtherRoot(
  prepared: PreparedMachine,
  error: unknown,
  { onChoice }: Pick<LaunchOptions, 'onChoice'>,
): Promise<PreparedMachine | undefined> {
  if (prepared.otherRoot === undefined || !(error instanceof UnservedRoot)) return undefined;
  try {
    const other = await prepared.otherRoot();
    onChoice?.(`root: over ${rootShareOf(other)?.transport}, because ${error.message}`);
    return other;
  } catch (lack) {
    if (lack instanceof SandboxError && LACKS.includes(lack.code)) return undefined;
    throw lack;
  }
}
