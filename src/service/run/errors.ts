/** Errors of the life of a service. */
import { quote } from '../../config/errors.js';
import { SandboxError } from '../../util/errors.js';
import { serviceError } from '../errors.js';

export function alreadyRuns(name: string, cause?: unknown): SandboxError {
  return serviceError(
    'service-running',
    `the service ${quote(name)} already runs`,
    `see virt-sandbox-service status ${name}, or start it anew with virt-sandbox-service restart ${name}`,
    cause,
  );
}

/** Whether another process holds the service. */
export function isRunning(error: unknown): boolean {
  return error instanceof SandboxError && error.code === 'service-running';
}

/** @param unit of the host's systemd that was to start it */
export function heldWithoutSystemd(name: string, unit: string, cause: unknown): SandboxError {
  return serviceError(
    'service-running',
    `the service ${quote(name)} already runs, and another process than ${unit} holds it`,
    `stop it first: virt-sandbox-service stop ${name}; then start it: virt-sandbox-service start ${name}`,
    cause,
  );
}

/** systemd holds it, and knows what its file says alone. */
export function uriOfUnit(name: string, uri: string): SandboxError {
  return serviceError(
    'service-uri-of-unit',
    `systemd starts the service ${quote(name)}, and its file does not name the URI ${quote(uri)}`,
    `write connect=${uri} into [service]: virt-sandbox-service edit ${name}`,
  );
}

/** The unit is older than the file, or the kernel has no such controller. @param missing settings of the unit */
export function limitsMissing(name: string, unit: string, missing: readonly string[]): SandboxError {
  return new SandboxError({
    stage: 'config',
    code: 'service-limits-missing',
    message: `the control group of ${unit} does not have the limits of the service ${quote(name)}: ${missing.join(', ')}`,
    remedy:
      'have systemd read its units again (systemctl daemon-reload); where it has no control groups of version 2 with ' +
      `these controllers, leave the limits out, or use qemu:///system: virt-sandbox-service edit ${name}`,
  });
}

export function notRunning(name: string, cause?: unknown): SandboxError {
  return serviceError(
    'service-not-running',
    `the service ${quote(name)} does not run`,
    `start it: virt-sandbox-service start ${name}`,
    cause,
  );
}

/** @param waitedFor what was not so in time, as a sentence */
export function startTimeout(name: string, milliseconds: number, waitedFor: string): SandboxError {
  return serviceError(
    'service-start-timeout',
    `the service ${quote(name)} was not ready within ${milliseconds / 1000} s: ${waitedFor}`,
    `see virt-sandbox-service logs ${name}, or allow more: starttimeout in [service] of its sandbox.cfg, in milliseconds`,
  );
}

/** @param how as `exitText` says it */
export function endedEarly(name: string, how: string): SandboxError {
  return serviceError(
    'service-ended',
    `the service ${quote(name)} ended before it was ready: ${how}`,
    `see virt-sandbox-service logs ${name}`,
  );
}

export function startStopped(name: string): SandboxError {
  return serviceError(
    'service-stopped',
    `the service ${quote(name)} was stopped while it started`,
    `start it again: virt-sandbox-service start ${name}`,
  );
}

export function holderSilent(name: string, pid: number, cause?: unknown): SandboxError {
  return serviceError(
    'service-not-answering',
    `the process that holds the service ${quote(name)} does not answer`,
    `see whether PID ${pid} is stopped, and let it go on with kill -CONT ${pid}`,
    cause,
  );
}

export function neverRan(name: string): SandboxError {
  return serviceError(
    'service-no-log',
    `the service ${quote(name)} has no log: it was never started`,
    `start it: virt-sandbox-service start ${name}`,
  );
}

/** One of libvirt-sandbox. */
export function unnamedUnits(name: string): SandboxError {
  return serviceError(
    'service-without-units',
    `the service ${quote(name)} does not say which units are its own`,
    `name them: virt-sandbox-service reload -u UNIT ${name}`,
  );
}

/** @param remedy what to do in place of what needs units */
export function withoutUnits(name: string, remedy: string): SandboxError {
  return serviceError(
    'service-without-units',
    `the service ${quote(name)} runs a command, and has no units with a systemd`,
    remedy,
  );
}

/** @param most milliseconds that the process which holds it allows */
export function stopTooLong(name: string, most: number): SandboxError {
  return serviceError(
    'service-stop-too-long',
    `the host's systemd holds the service ${quote(name)}, and lets it take ${most / 1000} s to end`,
    `leave out --time, or set stoptimeout in [service] with virt-sandbox-service edit ${name}: ` +
      'it counts after systemctl daemon-reload and the next start',
  );
}
