/** How a service runs or ran, for those who start it again. */
import { type ConnectionKind, URI } from '../../libvirt/connection.js';
import { findHolder } from './claim.js';
import { OVER, readServiceRecord } from './record.js';

export interface LastRun {
  /** URI of libvirt; undefined: nobody has named one. */
  readonly connect?: string | undefined;
  /** That of the host's systemd which held it. */
  readonly unit?: string | undefined;
}

/**
 * Remembers who holds a service, before it is stopped.
 * @param life the directory of its record
 * @param kind the connection of its sandbox, as far as that is known
 * @returns what tells how it runs, and still does when it has ended: a holder that has just begun has recorded nothing
 */
export function followRun(name: string, life: string, kind?: ConnectionKind): () => LastRun {
  const holder = findHolder(name);
  return () => {
    const found = readServiceRecord(life, name);
    // Where nobody holds it and its record does not know that it has ended, its holder was killed.
    const isOfIt =
      holder === undefined ? found !== undefined && !OVER.includes(found.phase) : found?.owner === holder.owner;
    const record = isOfIt ? found : undefined;
    return { connect: record?.connect ?? (kind && URI[kind]), unit: record?.unit };
  };
}
