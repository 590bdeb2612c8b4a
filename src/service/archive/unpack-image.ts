/** Unpacks the image of an archive into a new file. No other program reads the archive. */
import { type FileHandle, open } from 'node:fs/promises';
import { isSystemError, messageOf } from '../../util/errors.js';
import { abortedError } from '../errors.js';
import { memberRefused, notAnArchive, notUnpacked } from './errors.js';
import { IMAGE } from './manifest.js';
import type { Member, Members } from './members.js';
import { expectEnd, type UnpackOptions } from './unpack.js';

/**
 * @param to nothing is there
 * @throws {SandboxError} `service-archive-refused`, `service-archive-not-unpacked`, `aborted`, and what the reader throws
 */
export async function unpackImage(members: Members, to: string, options: UnpackOptions): Promise<void> {
  const { archive } = options;
  const member = await members.next();
  if (member === undefined) throw notAnArchive(archive, `has no ${IMAGE}`);
  if (member.name !== IMAGE || member.type !== 'file')
    throw memberRefused(archive, `has ${JSON.stringify(member.name)} in the place of an image`);
  try {
    const file = await open(to, 'wx', 0o600);
    try {
      await writeContent(file, member, members, options);
      await file.datasync();
    } finally {
      await file.close();
    }
  } catch (error) {
    throw isSystemError(error) ? notUnpacked(archive, messageOf(error), error) : error;
  }
  await expectEnd(members, archive);
}

async function writeContent(file: FileHandle, member: Member, members: Members, options: UnpackOptions): Promise<void> {
  const { size, holes = { realSize: size, parts: [0, size] } } = member;
  const { name, signal, onProgress } = options;
  const { parts, realSize } = holes;
  let [part, done] = [0, 0];
  for (let piece = await members.piece(); piece !== undefined; piece = await members.piece()) {
    if (signal?.aborted) throw abortedError(name);
    // What fills up the last block belongs to no part.
    for (let at = 0; at < piece.length && part < parts.length; ) {
      const [offset = 0, length = 0] = [parts[part], parts[part + 1]];
      if (done < length) {
        const { bytesWritten } = await file.write(piece, at, Math.min(piece.length - at, length - done), offset + done);
        at += bytesWritten;
        done += bytesWritten;
      }
      if (done < length) continue;
      part += 2;
      done = 0;
    }
    onProgress?.(members.position);
  }
  await file.truncate(realSize);
}
