/** File systems of tests. */
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { mountGround } from './mount-point.js';

/**
 * A new file system, which is gone after the test.
 * @param mkfs the program that makes it, and its options
 * @param size as truncate(1) takes it
 * @param options of its mount
 * @returns where it is mounted
 */
export function scratchMount(
  context: Pick<TestContext, 'after'>,
  mkfs: readonly string[],
  size: string,
  options: readonly string[] = [],
): string {
  const directory = mountGround(context, 'at');
  const [disk, at] = [join(directory, 'disk'), join(directory, 'at')];
  const [program = '', ...words] = mkfs;
  mkdirSync(at);
  execFileSync('truncate', ['-s', size, disk]);
  execFileSync(program, ['-q', ...words, disk]);
  execFileSync('mount', ['-o', ['loop', ...options].join(), disk, at]);
  return at;
}
