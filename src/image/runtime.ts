/**
 * The common init in an initrd: Node, its libraries, and the common init as one script. init/native/common.c starts it and knows these
 * paths.
 */

import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SandboxError } from '../errors.js';
import type { InputLog } from '../kernel/inputs.js';
import { packageDirectory } from '../programs.js';
import type { ReadProgram } from './contents.js';
import { readLinkedProgram } from './libraries.js';

/** Where the common init runs: driven by the launcher over the channel, or in the guest. */
export const COMMON_INITS = ['host', 'guest'] as const;
export type CommonInit = (typeof COMMON_INITS)[number];

/**
 * Reads everything that a common init in the guest needs.
 *
 * @param node Path of the Node.js that runs it.
 * @throws {SandboxError} `node-unusable`, `not-built`.
 */
export async function readRuntime(node: string, inputs: InputLog): Promise<ReadProgram[]> {
  const script = join(packageDirectory(), 'dist', 'guest-init.cjs');
  inputs.note(script);
  if (!existsSync(script)) {
    throw new SandboxError({
      stage: 'image',
      code: 'not-built',
      message: `${script} is missing`,
      remedy: 'run make build in the source directory, or install the package again',
    });
  }
  const { content, loader, libraries } = await readLinkedProgram(node, inputs);
  return [
    { name: 'common/init.cjs', content: await readFile(script) },
    { name: 'common/node', content },
    { name: 'common/lib/ld.so', content: loader },
    ...libraries.map(([name, library]) => ({ name: `common/lib/${name}`, content: library })),
  ];
}
