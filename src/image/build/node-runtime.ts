/**
 * The common init in an initrd: Node, its libraries, and the common init as one script. The native init starts it and
 * knows these paths.
 */

import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { messageOf, SandboxError } from '../../util/errors.js';
import type { InputLog } from '../../util/input-log.js';
import { packageDirectory } from '../../util/programs.js';
import type { ReadProgram } from './contents.js';
import { readLinkedProgram } from './libraries.js';

/**
 * Reads all files that a common init in the guest needs.
 *
 * @param node Path of the Node.js to run it.
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
  await checkNode(node);
  return [
    { name: 'common/init.cjs', content: await readFile(script) },
    { name: 'common/node', content },
    { name: 'common/lib/ld.so', content: loader },
    ...libraries.map(([name, library]) => ({ name: `common/lib/${name}`, content: library })),
  ];
}

/** The oldest Node.js that runs the common init, as in package.json. */
export const LEAST_NODE = '20.19';

/** Checks the version here: in a guest, too old a Node.js would end without a message. */
async function checkNode(node: string): Promise<void> {
  if (node === process.execPath) return;
  const said = await promisify(execFile)(node, ['--version'], { env: {}, timeout: 10_000 }).then(
    ({ stdout }) => stdout.trim(),
    (error: unknown) => messageOf(error),
  );
  const [, major, minor] = /^v([0-9]+)\.([0-9]+)\.[0-9]+[^\s]*$/.exec(said) ?? [];
  const [leastMajor = 0, leastMinor = 0] = LEAST_NODE.split('.').map(Number);
  const isNode = major !== undefined;
  if (isNode && (Number(major) > leastMajor || (Number(major) === leastMajor && Number(minor) >= leastMinor))) return;
  throw new SandboxError({
    stage: 'image',
    code: 'node-unusable',
    message: isNode
      ? `${node} is Node.js ${said.slice(1)}, and the common init needs ${LEAST_NODE}`
      : `${node} is no Node.js: --version gives ${JSON.stringify(said.split('\n')[0])}`,
    remedy: `name a Node.js of version ${LEAST_NODE} or newer with --node`,
  });
}
