/** Types of the part of cpio-stream that is used here; the package has none. */
declare module 'cpio-stream' {
  import type { Readable, Writable } from 'node:stream';

  interface Header {
    name: string;
    type: 'file' | 'directory' | 'character-device';
    /** Permission bits. */
    mode: number;
    ino: number;
    /** The package takes 0 for "not given": see cpio.ts. */
    dev: number;
    nlink: number;
    uid: number;
    gid: number;
    mtime: Date;
    rdevmajor?: number;
    rdevminor?: number;
  }

  interface Pack extends Readable {
    entry(header: Header, content?: Buffer, done?: (error?: Error) => void): Writable;
    finalize(): void;
  }

  const cpio: { pack(options: { format: 'newc' }): Pack };
  export default cpio;
}
