/** A pool for one test. */
import type { TestContext } from 'node:test';
import { type PoolOptions, type Sandbox, SandboxPool } from '../../src/index.js';
import { embedded } from './connections.js';
import { assertNothingLeft, exceptLogs } from './leftovers.js';

const { uri: connect } = embedded;

export interface Taking {
  readonly pool: SandboxPool;
  readonly take: SandboxPool['take'];
}

/** A pool that is closed after the test, with all that was taken of it. */
export async function poolOf(t: TestContext, options: Omit<PoolOptions, 'connect'>): Promise<Taking> {
  const pool = await SandboxPool.create({ connect, ...options });
  const taken: Sandbox[] = [];
  const names = new Set<string>();
  t.after(async () => {
    await pool.close();
    await Promise.all(taken.map((sandbox) => sandbox.stop()));
    for (const name of names) await assertNothingLeft(name, exceptLogs(embedded.where));
  });
  const take: Taking['take'] = async (taking) => {
    for (const name of pool.names) names.add(name);
    const sandbox = await pool.take(taking);
    taken.push(sandbox);
    names.add(sandbox.name);
    return sandbox;
  };
  await pool.filled();
  return { pool, take };
}
