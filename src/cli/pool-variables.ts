/** Environment variables that are about the start or the command of one sandbox, and pools. */
import { usageError } from './usage-error.js';

const DEBUG = 'LIBVIRT_SANDBOX_INIT_DEBUG';
const STRACE = 'LIBVIRT_SANDBOX_STRACE';

type Variables = Readonly<Record<string, string | undefined>>;

/**
 * Refuses what would do nothing with `--pool`.
 * @throws {SandboxError} `usage`
 */
export function checkVariablesWithPool(variables: Variables): void {
  const given = [DEBUG, STRACE].filter((name) => variables[name]);
  if (given.length > 0)
    throw usageError(`--pool cannot go with ${given.join(', ')}: its sandboxes have started already`, 'virt-sandbox');
}

/**
 * Refuses what the sandboxes of a pool cannot have: nobody is at a terminal, and there is no command yet.
 * @throws {SandboxError} `usage`
 */
export function checkTemplateVariables(variables: Variables): void {
  const isStopped = variables[DEBUG]?.startsWith('break:') === true;
  const given = [...(isStopped ? [`${DEBUG}=break:STEP`] : []), ...(variables[STRACE] ? [STRACE] : [])];
  if (given.length > 0)
    throw usageError(`the sandboxes of a pool cannot have ${given.join(', ')}`, 'virt-sandbox-ctl pool create');
}
