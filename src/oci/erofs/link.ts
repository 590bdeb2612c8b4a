/** The symbolic links of an EROFS image. */
import { type ErofsInode, ErofsReader } from './reader.js';

/**
 * Where the link at a path leads; undefined: there is none, or one is above it.
 * @param file the image
 * @param path absolute, in the image
 * @throws {ErofsError} the image is damaged
 * @throws a system error
 */
export function linkInErofs(file: string, path: string): string | undefined {
  const reader = new ErofsReader(file);
  try {
    let inode: ErofsInode | undefined = reader.inode(reader.root);
    // Names are read a byte a letter.
    for (const name of Buffer.from(path).toString('latin1').split('/').filter(Boolean)) {
      inode = childOf(reader, inode, name);
      if (inode === undefined) return undefined;
    }
    return inode.kind === 'symlink' ? Buffer.from(reader.target(inode), 'latin1').toString() : undefined;
  } finally {
    reader.close();
  }
}

function childOf(reader: ErofsReader, inode: ErofsInode, wanted: string): ErofsInode | undefined {
  if (inode.kind !== 'directory') return undefined;
  for (const [name, number] of reader.entries(inode)) if (name === wanted) return reader.inode(number);
  return undefined;
}
