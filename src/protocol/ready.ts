/** READY: what the guest says first. */
import { FieldReader, FieldWriter } from './fields.js';

/** What the guest says of itself first. Times are microseconds of its CLOCK_BOOTTIME. */
export interface GuestReady {
  readonly protocol: number;
  readonly kernelRelease: string;
  readonly initStarted: bigint;
  readonly initReady: bigint;
  readonly modules: readonly { readonly name: string; readonly errno: number; readonly microseconds: number }[];
}

/** What {@link decodeReady} reads. */
export function encodeReady(ready: GuestReady): Buffer {
  const w = new FieldWriter();
  w.u32(ready.protocol).str(ready.kernelRelease).u64(ready.initStarted).u64(ready.initReady);
  w.list(ready.modules, ({ name, errno, microseconds }) => w.str(name).u32(errno).u32(microseconds));
  return w.finish();
}

/** @throws {ProtocolError} when the payload is not a READY */
export function decodeReady(payload: Buffer): GuestReady {
  const r = new FieldReader(payload);
  const ready: GuestReady = {
    protocol: r.u32(),
    kernelRelease: r.str(),
    initStarted: r.u64(),
    initReady: r.u64(),
    modules: r.list(() => ({ name: r.str(), errno: r.u32(), microseconds: r.u32() })),
  };
  r.end();
  return ready;
}
