/** The READY message of the init in a snapshot, as JSON. */

import type { Snapshot } from '../../image/snapshot/record.js';
import type { GuestReady } from '../../protocol/ready.js';

export function readyRecord(ready: GuestReady): Record<string, unknown> {
  return { ...ready, initStarted: String(ready.initStarted), initReady: String(ready.initReady) };
}

export function readyOf({ record }: Snapshot): GuestReady {
  // readyRecord() wrote it: the record's seal proves that.
  const { initStarted, initReady, ...rest } = record.ready as Omit<GuestReady, 'initStarted' | 'initReady'> & {
    initStarted: string;
    initReady: string;
  };
  return { ...rest, initStarted: BigInt(initStarted), initReady: BigInt(initReady) };
}
