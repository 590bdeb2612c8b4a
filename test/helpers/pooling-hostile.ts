/**
 * A program whose pool has guests that attack: pooling-hostile.js PROGRAM URI WORD=ATTACK:SEED. PROGRAM is a virt-sandbox
 * with the hostile init; its library makes the pool. It prints as JSON what came of it.
 */
import { join } from 'node:path';

const [program = '', connect = '', order = ''] = process.argv.slice(2);
const library = join(program, '../../dist/index.js');
const { SandboxError, SandboxPool } = (await import(library)) as typeof import('../../src/index.js');

/** The command that every member runs has the order in its environment. */
const creating = { size: 1, connect, boot: 'warm', environment: { X: `${order};` } } as const;

async function take(): Promise<string> {
  await using pool = await SandboxPool.create(creating);
  const sandbox = await pool.take();
  await sandbox.run(['true']);
  return 'taken';
}

const said = await take().catch((error: unknown) => (error instanceof SandboxError ? error.code : String(error)));
process.stdout.write(`${JSON.stringify({ said, memory: process.resourceUsage().maxRSS * 1024 })}\n`);
