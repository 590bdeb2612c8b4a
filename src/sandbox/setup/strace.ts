/** LIBVIRT_SANDBOX_STRACE: its value, and the check that the guest has what tracing needs. */
import type { GuestConfig, GuestTrace } from '../../../init/common/config.js';
import { lookFor } from '../../../init/common/strace.js';
import type { Guest } from '../../protocol/operations.js';
import { SandboxError } from '../../util/errors.js';

/** Parses the variable: empty, `1` for every system call, or an expression for `strace -e`. */
export function traceWish(text = ''): GuestTrace | undefined {
  if (text === '') return undefined;
  return { expression: text === '1' ? undefined : text };
}

/**
 * Checks that strace and the application exist. Call it when the root is mounted.
 * @throws {SandboxError} `strace-missing`, `command-not-found` (127), `command-not-executable` (126)
 */
export async function checkTraceable(guest: Guest, config: GuestConfig): Promise<void> {
  const command = config.command[0] ?? '';
  if ((await lookFor(guest, 'strace', config)) !== 'there') {
    throw new SandboxError({
      stage: 'application',
      code: 'strace-missing',
      message: `LIBVIRT_SANDBOX_STRACE is set, and there is no strace in the PATH of the sandbox to run ${command}`,
      remedy: 'install strace in the root (here: apt-get install strace), or unset LIBVIRT_SANDBOX_STRACE',
    });
  }
  const found = await lookFor(guest, command, config);
  if (found === 'there') return;
  throw new SandboxError({
    stage: 'application',
    code: found === 'missing' ? 'command-not-found' : 'command-not-executable',
    message: `${command}: ${found === 'missing' ? 'not found inside the sandbox' : 'cannot be executed'}`,
    remedy: 'name an executable program that is in the root or in its PATH',
    exitCode: found === 'missing' ? 127 : 126,
  });
}
