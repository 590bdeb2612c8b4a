/** Small files that may be missing, such as those in /proc and /sys. */
import { closeSync, constants, fstatSync, openSync, readFileSync, readSync } from 'node:fs';
import { valueOr } from './errors.js';

/** Content of a file; undefined if it does not exist or cannot be read. */
export function readIfThere(path: string): string | undefined {
  return valueOr(() => readFileSync(path, 'utf8'), undefined);
}

/**
 * Reads a regular file that another user may have made. Follows no link, and waits for nobody who writes to it.
 * @param options `most`: bytes; `uid`: whose it must be, default: anyone's
 * @throws a system error: EINVAL if it is no file, or not that user's; EFBIG if it is larger
 */
export function readPlainFile(path: string, { most, uid }: { most: number; uid?: number | undefined }): string {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
  const fd = openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    const found = fstatSync(fd);
    if (!found.isFile() || (uid !== undefined && found.uid !== uid))
      throw refusal('EINVAL', `${path} is no file of that user`);
    if (found.size > most) throw refusal('EFBIG', `${path} has more than ${most} bytes`);
    const bytes = Buffer.alloc(found.size);
    return bytes.toString('utf8', 0, readSync(fd, bytes, 0, bytes.length, 0));
  } finally {
    closeSync(fd);
  }
}

function refusal(code: string, message: string): NodeJS.ErrnoException {
  return Object.assign(new Error(message), { code });
}
