/** What is known of a running sandbox, for people and programs. The names are keys of JSON. */
import type { SandboxRecord } from '../../control/record.js';
import type { ConnectionKind } from '../../libvirt/connection.js';

const URIS: Readonly<Record<ConnectionKind, string>> = {
  system: 'qemu:///system',
  session: 'qemu:///session',
  embedded: 'qemu:///embed',
  lxc: 'lxc:///',
};

/** The libvirt URI, as for `--connect`. */
export function uriOf({ connection }: SandboxRecord): string {
  return URIS[connection];
}

/**
 * All of a record. The values of its variables are there: who can read the record is its owner, or root.
 */
export function describeRecord(record: SandboxRecord) {
  const { version: _version, guest, connection: _connection, ...known } = record;
  const { hostname, identity, privileged, cwd, environment } = guest;
  return {
    ...known,
    connection: uriOf(record),
    hostname,
    user: identity,
    privileged,
    cwd,
    environment: Object.fromEntries(environment.map(({ key, value }) => [key, value])),
  };
}
