/**
 * What a program of libguestfs writes to stderr: a file. With a pipe a program that outlives this process would be
 * ended by SIGPIPE as soon as it said something, and clean up nothing.
 */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';

/** Bytes of the end of stderr that are read. */
const KEPT = 8 << 10;
/** Bytes of stderr after which a program is ended. With LIBGUESTFS_DEBUG=1 it writes some hundred KiB. */
const MOST = 16 << 20;

export class StderrFile {
  private constructor(private readonly file: FileHandle) {}

  /** @param path is made anew */
  static async open(path: string): Promise<StderrFile> {
    // What the program starts writes to it too.
    const { O_RDWR, O_CREAT, O_TRUNC, O_APPEND, O_NOFOLLOW } = constants;
    return new StderrFile(await open(path, O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_NOFOLLOW, 0o600));
  }

  /** For the program. */
  get fd(): number {
    return this.file.fd;
  }

  /** Whether the program does not stop to write. */
  async isTooLong(): Promise<boolean> {
    return (await this.file.stat()).size > MOST;
  }

  /** The end of what was written. */
  async tail(): Promise<string> {
    const { size } = await this.file.stat();
    const { buffer, bytesRead } = await this.file.read(Buffer.alloc(KEPT), 0, KEPT, Math.max(0, size - KEPT));
    return buffer.toString('utf8', 0, bytesRead);
  }

  close(): Promise<void> {
    return this.file.close();
  }
}
