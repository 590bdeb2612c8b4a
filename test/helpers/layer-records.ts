/** The upper layer of an overlay as the init's `layer` sends it. */
import { FieldWriter } from '../../src/protocol/fields.js';

export interface LayerFile {
  readonly name: string;
  /** With its type; default: a file of mode 0644. 0: a whiteout. */
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly size?: bigint;
  /** In seconds; default: 1. */
  readonly modified?: bigint;
  readonly target?: string;
}

/** A record as it is in the stream. Texts are of bytes, one a letter. */
export function layerRecord({ name, mode = 0o100644, uid = 0, gid = 0, size = 0n, ...rest }: LayerFile): Buffer {
  const { modified = 1n, target = '' } = rest;
  const fields = new FieldWriter()
    .bytes(Buffer.from(name, 'latin1'))
    .u32(mode)
    .u32(uid)
    .u32(gid)
    .u64(size)
    .u64(modified)
    .u32(0)
    .bytes(Buffer.from(target, 'latin1'))
    .finish();
  return Buffer.concat([new FieldWriter().u32(fields.length).finish(), fields]);
}

export const whiteout = (name: string) => layerRecord({ name, mode: 0, modified: 0n });

/** The end of a directory. */
export const LEAVE = whiteout('');

/** A directory with what is in it. @param mark what overlayfs keeps of it */
export function layerDirectory(name: string, below: readonly Buffer[], mark = ''): Buffer {
  return Buffer.concat([layerRecord({ name, mode: 0o040755, target: mark }), ...below, LEAVE]);
}
