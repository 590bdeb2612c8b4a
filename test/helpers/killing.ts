/** Programs that are killed at one of their system calls. */
import { spawnSync } from 'node:child_process';
import { unlessProgram } from './images.js';

/** A reason to skip, or false if processes can be traced here. */
export function unlessTraced(): string | false {
  const missing = unlessProgram('strace');
  if (missing !== false) return missing;
  const { status } = spawnSync('strace', ['-qq', '-o', '/dev/null', 'true']);
  return status === 0 ? false : 'processes cannot be traced here';
}

/**
 * The words in front of a command. strace(1) kills a process of it that makes a call for the `when`-th time: each thread
 * counts for itself.
 */
export function killedAt(call: string, when: number): string[] {
  const kill = `inject=${call}:signal=KILL:when=${when}`;
  return ['strace', '-f', '-qq', '-o', '/dev/null', '-e', `trace=${call}`, '-e', kill, '--'];
}
