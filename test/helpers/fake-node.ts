/** A program that claims to be Node.js of some version, and does nothing else. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

/** Compiles it, because an image accepts only linked programs. @returns its path */
export function fakeNode(directory: string, version: string): string {
  const path = join(directory, `node-${version}`);
  const source = `#include <stdio.h>
int main(int count, char **arguments) { (void)arguments; return count == 2 ? puts("${version}") < 0 : 0; }`;
  execFileSync('cc', ['-x', 'c', '-o', path, '-'], { input: source });
  return path;
}
