/** Records of a tree as bytes. */
import { MAX_NAME_BYTES, type TreeMeta, TreeRecord } from './format.js';

/** @throws ENAMETOOLONG: FUSE has longer names */
function named(type: number, name: Buffer, more: number): Buffer {
  if (name.length > MAX_NAME_BYTES)
    throw Object.assign(new Error(`its name has more than ${MAX_NAME_BYTES} bytes`), { code: 'ENAMETOOLONG' });
  const record = Buffer.alloc(2 + name.length + more);
  record.writeUInt8(type, 0);
  record.writeUInt8(name.length, 1);
  record.set(name, 2);
  return record;
}

function entry(type: number, name: Buffer, { mode, seconds, nanoseconds }: TreeMeta, more = 0): Buffer {
  const record = named(type, name, 14 + more);
  const at = record.writeUInt16BE(mode, 2 + name.length);
  record.writeUInt32BE(nanoseconds, record.writeBigInt64BE(seconds, at));
  return record;
}

export function encodeDirectory(name: Buffer, meta: TreeMeta): Buffer {
  return entry(TreeRecord.DIRECTORY, name, meta);
}

export function encodeFile(name: Buffer, meta: TreeMeta, size: number, isShared: boolean): Buffer {
  const record = entry(isShared ? TreeRecord.SHARED_FILE : TreeRecord.FILE, name, meta, 8);
  record.writeBigUInt64BE(BigInt(size), record.length - 8);
  return record;
}

/** What stands before the bytes of an extent. */
export function encodeExtent(offset: number, length: number): Buffer {
  const record = Buffer.alloc(13);
  record.writeUInt8(TreeRecord.EXTENT, 0);
  record.writeBigUInt64BE(BigInt(offset), 1);
  record.writeUInt32BE(length, 9);
  return record;
}

export function encodeFileEnd(flags: number): Buffer {
  return Buffer.of(TreeRecord.FILE_END, flags);
}

export function encodeLink(name: Buffer, meta: TreeMeta, target: Buffer): Buffer {
  const record = entry(TreeRecord.LINK, name, meta, 2);
  record.writeUInt16BE(target.length, record.length - 2);
  return Buffer.concat([record, target]);
}

/** @param number of a shared file that was sent */
export function encodeHardLink(name: Buffer, number: number): Buffer {
  const record = named(TreeRecord.HARD_LINK, name, 4);
  record.writeUInt32BE(number, record.length - 4);
  return record;
}

export function encodeFifo(name: Buffer, meta: TreeMeta): Buffer {
  return entry(TreeRecord.FIFO, name, meta);
}

export function encodeLeave(): Buffer {
  return Buffer.of(TreeRecord.LEAVE);
}

export function encodeEnd(): Buffer {
  return Buffer.of(TreeRecord.END);
}
