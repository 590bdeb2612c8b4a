/** A store of images in which a snapshot is, and nothing else. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Context } from './context.js';
import type { Row } from './row.js';
import { timed } from './run.js';

export type Environment = Readonly<Record<string, string>>;

/**
 * This process and the programs have a store of their own, so that no other sandbox becomes warm.
 * @param name of the store
 * @param bake what virt-sandbox-bake is told besides that it is to be warm
 */
export async function inStoreWithSnapshot(
  { program, scratch }: Context,
  name: string,
  bake: readonly string[],
  measure: (environment: Environment) => Promise<Row[]>,
): Promise<Row[]> {
  const environment = { XDG_CACHE_HOME: join(scratch, name) };
  mkdirSync(environment.XDG_CACHE_HOME, { recursive: true });
  await timed({ label: 'bake', argv: [`${program}-bake`, 'create', '--warm', ...bake], environment });
  const { XDG_CACHE_HOME: usual } = process.env;
  process.env['XDG_CACHE_HOME'] = environment.XDG_CACHE_HOME;
  try {
    return await measure(environment);
  } finally {
    if (usual === undefined) delete process.env['XDG_CACHE_HOME'];
    else process.env['XDG_CACHE_HOME'] = usual;
  }
}
