/**
 * libvirt's daemon of a user, which all services over qemu:///session have in common. Whoever connects first starts it,
 * and their machines are in its control group: so it is started in a unit of its own. In that of a service it would end,
 * with all machines, when systemd ends the service.
 */
import { URI } from '../../libvirt/connection.js';
import type { Scope } from '../paths.js';
import { programWord } from './escape.js';

/** The word of virt-sandbox-service that has the daemon started. */
export const START_SESSION_DAEMON = '--start-session-daemon';

/** No service has such a unit: theirs end in `_sandbox.service`. */
export const SESSION_UNIT = 'virt-sandbox-session.service';

/** Where no connection is named, virt-sandbox prefers that daemon for everybody but root. */
export function mayUseSession(connect: string | undefined, scope: Scope): boolean {
  return connect === undefined ? scope === 'user' : connect.startsWith(URI.session);
}

/**
 * The text of its unit. The daemon ends by itself when nobody needs it. Without one a service may run all the same.
 * @param program absolute path of virt-sandbox-service
 * @throws {SandboxError} `service-unit-impossible`
 */
export function formatSessionUnit(program: string): string {
  return `# Made for services over ${URI.session}
[Unit]
Description=Starts libvirt's daemon of this user for services
Documentation=man:virt-sandbox-service(1)

[Service]
Type=oneshot
ExecStart=-:${programWord(program)} ${START_SESSION_DAEMON}
KillMode=process
TimeoutStartSec=60s
`;
}
