/** Files by their names: in a directory of this host, or in a tar archive. */

export interface FileTree {
  /** What errors call it: its path. */
  readonly path: string;
  /** Bytes of a file; undefined if there is none of that name. */
  size(name: string): Promise<number | undefined>;
  /** The bytes of a file from an offset on, up to its size. */
  stream(name: string, from: number, signal?: AbortSignal): AsyncIterable<Uint8Array>;
  close(): Promise<void>;
}

/** A whole file that is known to be small. */
export async function readWhole(tree: FileTree, name: string, signal: AbortSignal | undefined): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of tree.stream(name, 0, signal)) pieces.push(piece);
  return Buffer.concat(pieces);
}
