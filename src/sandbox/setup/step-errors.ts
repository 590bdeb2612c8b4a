/** Errors of a guest that answers: a step failed, or the application could not be started. */

import { constants } from 'node:os';
import { isChdir } from '../../../init/common/application.js';
import type { GuestConfig } from '../../../init/common/config.js';
import { USERS_STEP } from '../../../init/common/container.js';
import type { StepError } from '../../../init/common/drive.js';
import type { OperationError } from '../../protocol/operations.js';
import { SandboxError } from '../../util/errors.js';
import { option, shortOption } from '../../util/option-names.js';
import { DEBUG_REMEDY } from '../start/boot-errors.js';
import type { Console } from '../start/console.js';
import { mountFailure } from './mount-errors.js';

/** A step of the common init failed. */
export function stepError(error: StepError, console: Console, guest?: GuestConfig): SandboxError {
  const { code, message, remedy } = (guest && mountFailure(error, guest)) ?? {
    code: 'init-step-failed',
    message: `step ${error.step} failed: ${error.message}`,
    remedy: remedyOf(error, guest),
  };
  return new SandboxError({ stage: 'init', code, message, remedy, consoleTail: console.tail(), cause: error });
}

/** Steps that fail if what they mount is not where it should be. */
const SYSTEM_STEPS = ['root', 'system', 'confine'];

function remedyOf({ step, operation }: StepError, guest: GuestConfig | undefined): string {
  if (guest?.ociRoot && SYSTEM_STEPS.includes(step))
    return 'use an image in which /dev, /proc and /sys are directories, or are missing';
  if (step === 'root')
    return `see that the root has the directories /dev and /proc, and that ${option('root')} is what you meant`;
  if (step !== USERS_STEP) return DEBUG_REMEDY;
  return operation.errno === constants.errno.EACCES
    ? 'allow it in the AppArmor profile: the line "userns," in /etc/apparmor.d/libvirt/TEMPLATE.lxc'
    : `see that this host has user namespaces (sysctl user.max_user_namespaces), or run a machine: ${shortOption('connect', 'qemu:///embed')}`;
}

/**
 * The application could not be started. Exit status 127 if it is missing, 126 if it cannot be executed, as in a shell.
 */
export function spawnError(
  error: OperationError,
  { command: [command = ''], cwd, identity }: Pick<GuestConfig, 'command' | 'cwd' | 'identity'>,
): SandboxError {
  if (isChdir(error)) {
    return new SandboxError({
      stage: 'init',
      code: 'cwd-unusable',
      message: `the working directory ${cwd ?? '/'} cannot be entered inside: ${error.message}`,
      remedy: `give ${option('cwd')} a directory that exists inside and that the user may enter`,
      cause: error,
    });
  }
  const notFound = error.errno === constants.errno.ENOENT;
  const exec = error.message.startsWith('execve(');
  // A name with a slash is not looked up in PATH.
  const relative = command.includes('/') && !command.startsWith('/');
  const directory = `the working directory inside (${cwd ?? `${identity.home}, or / where that cannot be entered`})`;
  const elsewhere = `name it by its whole path, or give ${option('cwd')}: it is looked for from ${directory}`;
  if (exec && notFound) {
    return new SandboxError({
      stage: 'application',
      code: 'command-not-found',
      message: `${command}: not found inside the sandbox`,
      remedy: relative
        ? elsewhere
        : 'name a program that is in the root or in its PATH (a script needs its interpreter there too)',
      exitCode: 127,
      cause: error,
    });
  }
  return new SandboxError({
    stage: exec ? 'application' : 'init',
    code: exec ? 'command-not-executable' : 'spawn-failed',
    message: `${command}: cannot be started: ${error.message}`,
    remedy: exec
      ? `see that it is an executable file that the user inside may run${relative ? `, and ${elsewhere}` : ''}`
      : DEBUG_REMEDY,
    exitCode: exec ? 126 : 125,
    cause: error,
  });
}
