/** The READY message, the first that the guest sends. */
import { FieldReader, FieldWriter } from './fields.js';

/** Content of READY. Times are microseconds of the guest's CLOCK_BOOTTIME. */
export interface GuestReady {
  readonly protocol: number;
  readonly kernelRelease: string;
  readonly initStarted: bigint;
  readonly initReady: bigint;
  /** Each module that was loaded, or failed to (errno other than 0), and how long it took. */
  readonly modules: readonly { readonly name: string; readonly errno: number; readonly microseconds: number }[];
}

/** Inverse of {@link decodeReady}. */
export function encodeReady(ready: GuestReady): Buffer {
  const w = new FieldWriter();
  w.u32(ready.protocol).str(ready.kernelRelease).u64(ready.initStarted).u64(ready.initReady);
  w.list(ready.modules, ({ name, errno, microseconds }) => w.str(name).u32(errno).u32(microseconds));
  return w.finish();
}

/** @throws {ProtocolError} when the payload is malformed */
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
