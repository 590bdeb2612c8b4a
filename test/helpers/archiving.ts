/** Archives of services in the places of a test. No service runs. */
import { exportService } from '../../src/service/archive/export.js';
import { type Imported, type ImportOptions, importService } from '../../src/service/archive/import.js';
import type { SourceControl } from '../../src/service/clone/source.js';
import type { ServiceRoots } from '../../src/service/paths.js';

const STOPPED: SourceControl = { connect: async () => undefined, start: async () => {} };

export async function exported(roots: ServiceRoots, name: string, control = STOPPED): Promise<Buffer> {
  const pieces: Buffer[] = [];
  const write = async (piece: Buffer) => void pieces.push(Buffer.from(piece));
  await exportService(roots, name, { whenRunning: 'refuse', control, write });
  return Buffer.concat(pieces);
}

export function imported(
  roots: ServiceRoots,
  name: string,
  archive: Buffer,
  options: Partial<ImportOptions> = {},
): Promise<Imported> {
  return importService(roots, name, { archive: 'x.tar', stream: piecesOf(archive), isTrusted: false, ...options });
}

/** In pieces of an odd length, as a pipe may have them. */
async function* piecesOf(archive: Buffer): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < archive.length; at += 65_521) yield archive.subarray(at, at + 65_521);
}
