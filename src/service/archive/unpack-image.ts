/** Unpacks the image of an archive into a new file. No other program reads the archive. */
import { type FileHandle, open } from 'node:fs/promises';
import { isSystemError, messageOf } from '../../util/errors.js';
import { writeAll } from '../../util/write-all.js';
import { abortedError } from '../errors.js';
import { memberRefused, notAnArchive, notUnpacked, oneMore } from './errors.js';
import { IMAGE } from './manifest.js';
import type { Member, Members } from './members.js';
import { expectEnd, type UnpackOptions } from './unpack.js';

/**
 * @param to nothing is there
 * @throws {SandboxError} `service-archive-refused`, `service-archive-not-unpacked`, `service-archive-too-large`,
 *   `aborted`, and what the reader throws
 */
export async function unpackImage(members: Members, to: string, options: UnpackOptions): Promise<void> {
  const { archive, room } = options;
  const member = await members.next();
  if (member === undefined) throw notAnArchive(archive, `has no ${IMAGE}`);
  imageCheck(archive)(member);
  await room?.take(member);
  try {
    const file = await open(to, 'wx', 0o600);
    try {
      await writeContent(file, member, members, options);
      await file.datasync();
    } finally {
      await file.close();
    }
  } catch (error) {
    throw isSystemError(error) ? notUnpacked(archive, to, messageOf(error), error) : error;
  }
  await expectEnd(members, archive);
}

/** @returns a function that throws for each member but one, the image */
export function imageCheck(archive: string): (member: Member) => void {
  let isFirst = true;
  return (member) => {
    if (!isFirst) throw oneMore(archive, member);
    if (member.name !== IMAGE || member.type !== 'file')
      throw memberRefused(archive, `has ${JSON.stringify(member.name)} in the place of an image`);
    isFirst = false;
  };
}

async function writeContent(file: FileHandle, member: Member, members: Members, options: UnpackOptions): Promise<void> {
  const { size, holes = { realSize: size, parts: [0, size] } } = member;
  const { name, signal, onProgress, room } = options;
  const { parts, realSize } = holes;
  let [part, done] = [0, 0];
  for (let piece = await members.piece(); piece !== undefined; piece = await members.piece()) {
    if (signal?.aborted) throw abortedError(name);
    // What fills up the last block belongs to no part.
    for (let at = 0; at < piece.length && part < parts.length; ) {
      const [offset = 0, length = 0] = [parts[part], parts[part + 1]];
      if (done < length) {
        const bytes = Math.min(piece.length - at, length - done);
        await writeAll(file, piece.subarray(at, at + bytes), offset + done);
        at += bytes;
        done += bytes;
      }
      if (done < length) continue;
      part += 2;
      done = 0;
    }
    onProgress?.(members.position);
    await room?.taken(piece.length);
  }
  await file.truncate(realSize);
}
