/** Root shells for a person, beside the application. */
import type { SpawnOperation } from '../../src/protocol/operations.js';
import { SpawnFlag } from '../../src/protocol/wire.js';
import { ALL_CAPABILITIES } from './application.js';
import type { GuestShell, TerminalSize } from './config.js';
import { DEFAULT_PATH } from './environment.js';
import { call, type Step } from './step.js';

/** What is in a debug image for a time when there is no root yet. */
export const BUSYBOX = '/bin/busybox';

/** Rows and columns, and TERM; a session without a terminal has three pipes. */
export type ShellTerminal = TerminalSize & { readonly type: string };

export const SESSIONS_STEP = 'shell';

/** The step that lets sessions in; it comes first, so that there are some before any other. */
export function sessionsStep(shell: GuestShell): Step {
  return { name: SESSIONS_STEP, calls: [call({ op: 'sessions', endpoint: shell.sessions })] };
}

/** The step that puts a shell on the second console; it comes last, since it takes the root's own programs. */
export function consoleStep(hostname: string, shell: GuestShell): Step[] {
  if (shell.console === undefined) return [];
  const argv = ['/bin/sh', '-c', `printf '%s\\n' "$VIRT_SANDBOX_HELLO"; ${INTERACTIVE}`];
  // What a serial line of a machine without a screen is taken for by most systems.
  const environment = [
    ...shellEnvironment(hostname, 'vt220'),
    `VIRT_SANDBOX_HELLO=Root shell of the sandbox ${hostname}. Press Enter again for another after exit; Ctrl+] leaves virsh console.`,
  ];
  return [{ name: 'console', calls: [call({ op: 'terminal', device: shell.console, argv, environment })] }];
}

/** bash without the startup files of a system that is not this one, else whatever sh is. */
const INTERACTIVE = 'unset VIRT_SANDBOX_HELLO; [ -x /bin/bash ] && exec /bin/bash --norc -i; exec /bin/sh -i';

/**
 * A root shell, or `command` in its place: every capability, in /.
 * @param shell the program that is the shell, with its first arguments: /bin/sh, or busybox where there is no root yet
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
    flags: terminal ? SpawnFlag.PTY : 0,
    rows: terminal?.rows ?? 0,
    columns: terminal?.columns ?? 0,
  };
}

function shellEnvironment(name: string, type: string | undefined): string[] {
  return [
    `PATH=${DEFAULT_PATH}`,
    'HOME=/root',
    'USER=root',
    'LOGNAME=root',
    'SHELL=/bin/sh',
    // No shell is to keep a history on a root that is somebody's files.
    'HISTFILE=',
    // $PWD, because of the shells there only bash knows \w.
    `PS1=[${name}] $PWD # `,
    `VIRT_SANDBOX=${name}`,
    ...(type === undefined ? [] : [`TERM=${type}`]),
  ];
}
