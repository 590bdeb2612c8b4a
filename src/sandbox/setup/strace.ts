/** LIBVIRT_SANDBOX_STRACE: what has to be there for an application to be traced. */
import type { GuestConfig, GuestTrace } from '../../../init/common/config.js';
import { lookFor } from '../../../init/common/strace.js';
import type { Guest } from '../../protocol/operations.js';
import { SandboxError } from '../../util/errors.js';

/** What the variable says: nothing, `1` for every system call, or an expression for strace -e. */
export function traceWish(text = ''): GuestTrace | undefined {
  if (text === '') return undefined;
  return { expression: text === '1' ? undefined : text };
}

/**
 * Before an application is started under strace, once the root is there.
 * @throws {SandboxError} `strace-missing`, `command-not-found` (127), `command-not-executable` (126)
 */
export async function checkTraceable(guest: Guest, config: GuestConfig): Promise<void> {
  const command = config.command[0] ?? '';
  if ((await lookFor(guest, 'strace', config)) !== 'there') {
    throw new SandboxError({
      stage: 'application',
      code: 'strace-missing',
      message: `LIBVIRT_SANDBOX_STRACE is set, and there is no strace in the PATH of the sandbox's root to run ${command} under`,
      remedy: 'install strace in that root (here: apt-get install strace), or unset LIBVIRT_SANDBOX_STRACE',
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
