/** Root shells beside the application, for debugging. */
import type { SpawnOperation } from '../../src/protocol/operations.js';
import { SpawnFlag } from '../../src/protocol/wire.js';
import { ALL_CAPABILITIES } from './capabilities.js';
import type { GuestShell, TerminalSize } from './config.js';
import { DEFAULT_PATH } from './environment.js';
import { call, type Step } from './step.js';

/** The shell of a debug image, for breakpoints before the root is mounted. */
export const BUSYBOX = '/bin/busybox';

/** Size and TERM of a session's terminal. A session without a terminal has three pipes. */
export type ShellTerminal = TerminalSize & { readonly type: string };

export const SESSIONS_STEP = 'shell';

/** The step that accepts sessions. It comes first, so a shell can be had before any other step. */
export function sessionsStep(shell: GuestShell): Step {
  return { name: SESSIONS_STEP, calls: [call({ op: 'sessions', endpoint: shell.sessions })] };
}

const HELP = 'Press Enter again for another after exit; Ctrl+] leaves virsh console.';

/** The step that runs a shell on the second console. It comes last, because the shell is the root's own. */
export function consoleStep(hostname: string, shell: GuestShell): Step[] {
  if (shell.console === undefined) return [];
  const argv = ['/bin/sh', '-c', `printf '%s\\n' "$VIRT_SANDBOX_HELLO"; ${INTERACTIVE}`];
  // The usual TERM of a serial line.
  const environment = [
    ...shellEnvironment(hostname, 'vt220'),
    `VIRT_SANDBOX_HELLO=Root shell of the sandbox ${hostname}. ${HELP}`,
  ];
  return [{ name: 'console', calls: [call({ op: 'terminal', device: shell.console, argv, environment })] }];
}

/** bash without startup files, which are the host's, else sh. */
const INTERACTIVE = 'unset VIRT_SANDBOX_HELLO; [ -x /bin/bash ] && exec /bin/bash --norc -i; exec /bin/sh -i';

/**
 * The operation that starts a root shell, or `command` instead, with every capability, in /.
 * @param shell the shell with its first arguments: /bin/sh, or busybox if there is no root yet
 */
export function shellSpawn(
  name: string,
  command: readonly string[],
  terminal: ShellTerminal | undefined,
  shell: readonly string[] = ['/bin/sh'],
): SpawnOperation {
  const script = shell.length > 1 ? `exec ${shell.join(' ')} -i` : INTERACTIVE;
  const usual = terminal ? [...shell, '-c', script] : shell;
  return {
    op: 'spawn',
    argv: command.length > 0 ? command : usual,
    environment: shellEnvironment(name, terminal?.type),
    cwd: '/',
    uid: 0,
    gid: 0,
    groups: [0],
    capabilities: ALL_CAPABILITIES,
    flags: SpawnFlag.APPLICATION | (terminal ? SpawnFlag.PTY : 0),
    rows: terminal?.rows ?? 0,
    columns: terminal?.columns ?? 0,
    timeLimit: 0,
  };
}

function shellEnvironment(name: string, type: string | undefined): string[] {
  return [
    `PATH=${DEFAULT_PATH}`,
    'HOME=/root',
    'USER=root',
    'LOGNAME=root',
    'SHELL=/bin/sh',
    // Keep no history: the root's files belong to the host.
    'HISTFILE=',
    // $PWD, because only bash knows \w.
    `PS1=[${name}] $PWD # `,
    `VIRT_SANDBOX=${name}`,
    ...(type === undefined ? [] : [`TERM=${type}`]),
  ];
}
