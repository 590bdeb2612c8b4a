/** Why a guest did not come up, as an error for a person. */

import { messageOf, SandboxError } from '../../util/errors.js';
import { option } from '../../util/option-names.js';
import type { Console } from './console.js';

export const DEBUG_REMEDY = 'set LIBVIRT_SANDBOX_INIT_DEBUG=1 to see every step';

/** How far a guest has come: `idle` is a sandbox that waits for commands. */
export type GuestPhase = 'starting' | 'running' | 'idle';

const WHERE: Readonly<Record<GuestPhase, string>> = {
  starting: 'before the application was started',
  running: 'while the application ran',
  idle: 'before the sandbox was stopped',
};

/** The guest ended without its exit status. */
export function goneError(console: Console, phase: GuestPhase): SandboxError {
  const panic = console.panic;
  const tail = console.tail();
  return new SandboxError({
    stage: phase === 'starting' ? 'boot' : 'application',
    code: panic === undefined ? 'guest-gone' : 'guest-panic',
    message:
      panic === undefined
        ? `the guest ended ${WHERE[phase]}${phase === 'idle' ? '' : ', without its exit status'}`
        : `the guest's kernel panicked ${WHERE[phase]}: ${panic}`,
    remedy: remedyFor(panic, phase !== 'starting', tail),
    consoleTail: tail,
  });
}

function remedyFor(panic: string | undefined, running: boolean, tail: readonly string[]): string {
  if (wantsMemory(panic, running, tail)) return `give it more memory with ${option('memory')}, or ${DEBUG_REMEDY}`;
  // The host's kernel kills what takes more than its control group may have, and the guest says nothing.
  const isSilent = panic === undefined && tail.length === 0;
  return isSilent
    ? `see if the host killed it for lack of memory (dmesg): free some then, or raise ${option('tuning.memoryLimit')}; else ${DEBUG_REMEDY}`
    : DEBUG_REMEDY;
}

/** Whether more memory may help. A kernel without enough memory to set itself up ends without a message. */
function wantsMemory(panic: string | undefined, running: boolean, tail: readonly string[]): boolean {
  return panic === undefined ? !running && tail.length === 0 : /memory|oom/i.test(panic);
}

/** The application did not start in time. */
export function timeoutError(console: Console, milliseconds: number, reached: string): SandboxError {
  return new SandboxError({
    stage: 'boot',
    code: 'boot-timeout',
    message: `the guest did not answer within ${milliseconds / 1000} s; it came as far as: ${reached}`,
    remedy: `allow more with ${option('bootTimeout')}, or ${DEBUG_REMEDY}`,
    consoleTail: console.tail(),
  });
}

/** Copying includes on the host made no progress. */
export function copyTimeoutError(milliseconds: number): SandboxError {
  return new SandboxError({
    stage: 'boot',
    code: 'boot-timeout',
    message: `copying includes stood still for ${milliseconds / 1000} s`,
    remedy: `check that the included files are readable and their mount is writable, or allow more with ${option('bootTimeout')}`,
  });
}

/** The caller aborted the start. */
export function abortError(cause: unknown): SandboxError {
  return new SandboxError({
    stage: 'boot',
    code: 'aborted',
    message: 'the start was aborted',
    remedy: 'start it again',
    cause,
  });
}

/** A file of the boot image could not be copied into the state directory. */
export function copyError(from: string, to: string, cause: unknown): SandboxError {
  return new SandboxError({
    stage: 'domain',
    code: 'state-not-writable',
    message: `${from} cannot be copied to ${to}, for this machine alone: ${messageOf(cause)}`,
    remedy: 'free some space there; the size of the kernel and the initrd is enough',
    cause,
  });
}
