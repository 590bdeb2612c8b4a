/** Errors of clones. */
import { quote } from '../../config/errors.js';
import { messageOf, type SandboxError } from '../../util/errors.js';
import { isFull, serviceError } from '../errors.js';

export function sourceRuns(source: string): SandboxError {
  return serviceError(
    'service-running',
    `the service ${quote(source)} runs, and its state changes meanwhile`,
    'stop it for as long as its state is copied with --stop, or hold it still for that time with --live',
  );
}

export function sameName(name: string): SandboxError {
  return serviceError('service-exists', `${quote(name)} cannot be a clone of itself`, 'choose another name');
}

/** As of those that libvirt-sandbox made, which do not say where their content is. */
export function stateUnknown(source: string): SandboxError {
  return serviceError(
    'service-state-unknown',
    `the service ${quote(source)} does not say where its state is, so it cannot be copied`,
    'create another service, and copy by hand what it is to have',
  );
}

export function stateMissing(source: string, path: string): SandboxError {
  return serviceError(
    'service-state-missing',
    `the state of the service ${quote(source)} is not in ${quote(path)}`,
    'put it back there, or remove the service and create it again',
  );
}

/** @param why what the program that copies says */
export function notCopied(source: string, why: string, cause?: unknown): SandboxError {
  return serviceError(
    'service-state-not-copied',
    `the state of the service ${quote(source)} cannot be copied: ${why}`,
    isFull(why) ? 'make room there, or name another directory with --path' : 'look into its state, and try it again',
    cause,
  );
}

export function staticAddress(source: string, address: string): SandboxError {
  return serviceError(
    'service-address-taken',
    `the service ${quote(source)} has the address ${address}, and two services cannot have one`,
    'give the clone a network of its own: --network dhcp,source=NETWORK, or another address',
  );
}

export function toolMissing(name: string, what: string, debianPackage: string): SandboxError {
  return serviceError(
    'tool-missing',
    `${what} with ${name}, which is not in PATH`,
    `install it (Debian: ${debianPackage})`,
  );
}

/** @param failure why there is no clone */
export function notStartedEither(source: string, failure: unknown, startFailure: string): SandboxError {
  return serviceError(
    'service-not-started',
    `${messageOf(failure)}; and ${startFailure}`,
    `start the service ${quote(source)}, which was stopped for it`,
    failure,
  );
}
