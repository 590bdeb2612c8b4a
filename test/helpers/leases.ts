/** Leases on behalf of other processes. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { leaseDirectory } from '../../src/image/store/lease.js';
import { ownerTag } from '../../src/image/store/owner.js';

/** Makes the lease with which the process `pid` would use image `id`. @returns its path */
export function leaseFor(store: string, id: string, pid: number): string {
  const start = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ')[19];
  const [boot, namespace] = ownerTag().split('-');
  const lease = join(leaseDirectory(store), `${id}.${boot}-${namespace}-${pid}-${start}`);
  writeFileSync(lease, '');
  return lease;
}
