/** Keeps descriptors of the caller from a process that outlives this one. */
import { readdirSync } from 'node:fs';

/** From <fcntl.h>. */
const F_SETFD = 2;
const FD_CLOEXEC = 1;

const FIRST = 3;
/** A descriptor that a word of the command line names, as bash does for `<(COMMAND)`. */
const NAMED = /\/(?:dev|proc\/self)\/fd\/(\d+)/g;

/**
 * Has no later child inherit a descriptor, but the standard streams, and what `words` name. Otherwise whoever waits for
 * the end of a pipe would wait for the child, and a lock would be held for as long as it lives.
 */
export async function closeInherited(words: readonly string[]): Promise<void> {
  const named = new Set(words.flatMap((word) => [...word.matchAll(NAMED)].map(([, fd]) => Number(fd))));
  const { default: koffi } = await import('koffi');
  const fcntl = koffi.load('libc.so.6').func('int fcntl(int fd, int command, ...)');
  for (const fd of readdirSync('/proc/self/fd').map(Number)) {
    // That of the list itself is closed by now.
    if (fd >= FIRST && !named.has(fd)) fcntl(fd, F_SETFD, 'int', FD_CLOEXEC);
  }
}
