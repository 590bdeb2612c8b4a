/** cpio archives for tests, in every shape that a reader may meet, even those that no program writes. */
import { execFileSync } from 'node:child_process';

export interface MadeEntry {
  readonly name: string;
  /** With the type bits; default: a regular file, 0644. */
  readonly mode?: number;
  readonly data?: string | Buffer;
  readonly ino?: number;
  readonly nlink?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly mtime?: number;
  readonly rdev?: readonly [major: number, minor: number];
}

const padded = (data: Buffer): Buffer => Buffer.concat([data, Buffer.alloc((4 - (data.length % 4)) % 4)]);

function header(entry: MadeEntry, data: Buffer, ino: number, crc: boolean): Buffer {
  const name = Buffer.from(`${entry.name}\0`, 'latin1');
  const check = crc ? data.reduce((sum, byte) => (sum + byte) >>> 0, 0) : 0;
  const { mode = 0o100644, uid = 0, gid = 0, nlink = 1, mtime = 0, rdev = [0, 0] } = entry;
  const fields = [ino, mode, uid, gid, nlink, mtime, data.length, 0, 1, ...rdev, name.length, check];
  const digits = fields.map((field) => field.toString(16).padStart(8, '0')).join('');
  return padded(Buffer.concat([Buffer.from(crc ? '070702' : '070701'), Buffer.from(digits), name]));
}

/** An archive in the newc format; `crc` adds checksums. */
export function makeArchive(entries: readonly MadeEntry[], crc = false): Buffer {
  const all = [...entries, { name: 'TRAILER!!!', mode: 0 }];
  return Buffer.concat(
    all.flatMap((entry, i) => {
      const data = Buffer.from('data' in entry ? (entry.data ?? '') : '');
      return [header(entry, data, ('ino' in entry ? entry.ino : undefined) ?? i + 1, crc), padded(data)];
    }),
  );
}

/** The programs that pack initrds. */
export const INITRD_PACKERS = {
  gzip: ['gzip', '-n', '-c'],
  xz: ['xz', '--check=crc32', '-c'],
  lzma: ['xz', '--format=lzma', '-c'],
  bzip2: ['bzip2', '-c'],
  zstd: ['zstd', '-q', '-3', '-c'],
  lz4: ['lz4', '-q', '-l', '-1', '-c'],
  lzo: ['lzop', '-c'],
} as const;

export type InitrdPacker = keyof typeof INITRD_PACKERS;

/** `data` packed by the real program. */
export function packInitrd(packer: InitrdPacker, data: Buffer): Buffer {
  const [program, ...args] = INITRD_PACKERS[packer];
  return execFileSync(program, args, { input: data, maxBuffer: 1 << 30 });
}

/** A reason to skip, or false if the program is installed. */
export function unlessInitrdPacker(packer: InitrdPacker): string | false {
  const [program] = INITRD_PACKERS[packer];
  try {
    execFileSync('sh', ['-c', `command -v ${program}`], { stdio: 'ignore' });
    return false;
  } catch {
    return `the program ${program} is not installed`;
  }
}
