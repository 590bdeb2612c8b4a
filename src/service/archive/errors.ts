/** Errors of archives of services. */
import { quote } from '../../config/errors.js';
import { messageOf, type SandboxError } from '../../util/errors.js';
import type { Free } from '../../util/room.js';
import { isFull, serviceError } from '../errors.js';

/** Where the state of an archive is to be. */
export interface Place {
  /** The name of the archive. */
  readonly archive: string;
  /** A directory of the file system. */
  readonly directory: string;
}

/** @param why follows the name of the archive: `is cut off` */
export function notAnArchive(archive: string, why: string, cause?: unknown): SandboxError {
  return serviceError(
    'service-archive-invalid',
    `the archive ${quote(archive)} ${why}`,
    'name one that virt-sandbox-service export has made, as a whole',
    cause,
  );
}

export function notReadable(archive: string, why: string, cause?: unknown): SandboxError {
  return serviceError(
    'service-archive-not-readable',
    `the archive ${quote(archive)} cannot be read: ${why}`,
    'name a file that virt-sandbox-service export has made',
    cause,
  );
}

/** @param why which member, and what is wrong with it */
export function memberRefused(archive: string, why: string): SandboxError {
  return serviceError(
    'service-archive-refused',
    `the archive ${quote(archive)} ${why}, which no state of a service has`,
    'do not trust who made it; nothing of it was kept',
  );
}

export function oneMore(archive: string, { name }: { readonly name: string }): SandboxError {
  return memberRefused(archive, `has a member ${JSON.stringify(name)} more`);
}

/** @param reaches what the service in the archive would have beside its own state */
export function reachesBeyond(archive: string, reaches: readonly string[]): SandboxError {
  return serviceError(
    'service-archive-reaches',
    `the service in ${quote(archive)} reaches beyond its own state: ${reaches.join('; ')}`,
    'import it with --trust if it is to have that here, or without it from its own host',
  );
}

/** A user's sandbox cannot make files of other users on the host. */
export function ofRootAlone(archive: string): SandboxError {
  return serviceError(
    'service-archive-of-root',
    `the service in ${quote(archive)} has its state in a directory, which only root's services have`,
    'import it as root, or make the service with --imagesize where it comes from',
  );
}

/** @param to where its state was to be */
export function notUnpacked(archive: string, to: string, said: string, cause?: unknown): SandboxError {
  // tar(1) has no other reason for a part of a write, and does not name it.
  const why = said.replace(/Wrote only \d+ of \d+ bytes$/, 'No space left on device');
  return serviceError(
    'service-archive-not-unpacked',
    `the state in ${quote(archive)} cannot be unpacked to ${quote(to)}: ${why}`,
    isFull(why)
      ? 'make room there, or name another directory with --path'
      : 'see whether the archive is whole; nothing of it was kept',
    cause,
  );
}

const MAKE_ROOM =
  'make room there, name another directory with --path, or let it take all of the room that there is with --fill';

/** @param needed what its state takes: bytes or inodes, with the unit */
export function tooLarge({ archive, directory }: Place, needed: string, { free, left }: Free): SandboxError {
  return serviceError(
    'service-archive-too-large',
    `the state in ${quote(archive)} takes ${needed}: ${free} are free in ${quote(directory)}, and ${left} have to stay free`,
    MAKE_ROOM,
  );
}

/** While it is unpacked. @param unit `bytes`, `inodes` */
export function noRoom({ archive, directory }: Place, unit: string, { free, left }: Free): SandboxError {
  return serviceError(
    'service-archive-too-large',
    `the state in ${quote(archive)} was not unpacked: ${free} ${unit} are still free in ${quote(directory)}, and ${left} have to stay free`,
    MAKE_ROOM,
  );
}

export function notExported(name: string, why: string, cause?: unknown): SandboxError {
  return serviceError(
    'service-not-exported',
    `the service ${quote(name)} cannot be exported: ${why}`,
    isFull(why) ? 'make room there, or write it elsewhere' : 'remove the cause, and try it again',
    cause,
  );
}

export function notWritten(path: string, error: unknown): SandboxError {
  return serviceError(
    'service-archive-not-written',
    `the archive ${quote(path)} cannot be written: ${messageOf(error)}`,
    isFull(error) ? 'make room there, or write it elsewhere' : 'name a file in a directory that you can write to',
    error,
  );
}

export function outputNotFile(path: string): SandboxError {
  return serviceError(
    'service-archive-not-written',
    `${quote(path)} is there, and is no file that an archive could replace`,
    'name another file, or leave out --output and redirect the output',
  );
}
