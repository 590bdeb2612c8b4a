/** What can be the name of a service. */
import { configError, quote } from '../config/errors.js';

/** Characters. It is the host name inside, of which Linux takes 64 bytes. */
const LONGEST_NAME = 64;

/**
 * Checks the name of a service. It becomes that of files, of a systemd unit and of a domain, on which all agree.
 * @throws {SandboxError} `service-name-invalid`
 */
export function checkServiceName(name: string): void {
  if (isServiceName(name)) return;
  throw configError(
    'service-name-invalid',
    `${quote(name)} cannot be the name of a service`,
    `choose one of 1 to ${LONGEST_NAME} characters of a-z, 0-9, _, . and -, without . and - in front`,
  );
}

export function isServiceName(name: string): boolean {
  return name.length <= LONGEST_NAME && /^[a-z0-9_][a-z0-9_.-]*$/.test(name);
}
