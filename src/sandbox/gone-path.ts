/**
 * A container is started again where a path of the host has gone meanwhile: a directory that libvirt was to bind, or
 * something that the init was to cover.
 */
import { constants } from 'node:os';
import { StepError } from '../../init/common/drive.js';
import { HIDE_STEP } from '../../init/common/mounts.js';
import { SOURCE_GONE } from '../libvirt/gone-source.js';
import { SandboxError } from '../util/errors.js';
import { abortError } from './start/boot-errors.js';
import type { LaunchOptions } from './types.js';

function isGone(
  error: SandboxError,
  { hasBegun }: Pick<Starting<unknown>, 'hasBegun'>,
  breakpoint: LaunchOptions['breakpoint'],
): boolean {
  // Whatever an error says after it has begun, the guest may have chosen its words.
  if (error.code === SOURCE_GONE) return !hasBegun;
  // A shell at a breakpoint may have done anything.
  return breakpoint === undefined && isHiddenGone(error);
}

/**
 * The init was to cover something that it had just seen: the host has removed it, or the directory that a mount with it
 * was on. The step comes before anything of the user's is executed, and what is behind it is skipped.
 */
function isHiddenGone({ cause }: SandboxError): boolean {
  return cause instanceof StepError && cause.step === HIDE_STEP && cause.operation.errno === constants.errno.ENOENT;
}

/** A mount that comes and goes ten times a second is missed by one start in four. */
const MORE_STARTS = 5;

/** One attempt to start. */
interface Starting<Started> {
  start(): Promise<Started>;
  /** The guest was sent an operation. */
  readonly hasBegun: boolean;
}

/**
 * Starts, and starts again where libvirt or the init missed a path: nothing was executed then. A user of the host
 * whose mounts come and go on purpose can still make all of these fail, and no more.
 * @param attempt makes one, with the mounts that are there now
 * @param limitMs none begins later, in milliseconds
 * @throws {SandboxError} `aborted`, or whatever the last attempt throws
 */
export async function startDespiteGone<Started>(
  attempt: () => Starting<Started>,
  limitMs: number,
  { signal, onChoice, breakpoint }: Pick<LaunchOptions, 'signal' | 'onChoice' | 'breakpoint'>,
): Promise<Started> {
  const latest = performance.now() + limitMs;
  for (let more = MORE_STARTS; ; more--) {
    const starting = attempt();
    try {
      return await starting.start();
    } catch (error) {
      if (!(error instanceof SandboxError) || !isGone(error, starting, breakpoint)) throw error;
      if (signal?.aborted) throw abortError(signal.reason);
      if (more === 0 || performance.now() > latest) throw error;
      onChoice?.(`mounts: started again, because ${error.message}`);
    }
  }
}
