/** How long a pool is held: until somebody removes it, or who creates it is gone before it has the name. */
import type { PoolServer } from '../../control/pool/pool-server.js';
import { collectGarbage } from '../hold/held.js';

/**
 * Resolves when nothing of the pool runs.
 * @param ending removes it when it aborts
 * @param takes whether its creator has the name. A creator that is stopped says nothing, and others may remove the pool
 */
export async function untilRemoved(
  server: Pick<PoolServer, 'removed' | 'remove'>,
  ending: AbortSignal,
  takes: () => Promise<boolean>,
): Promise<void> {
  const remove = () => void server.remove();
  ending.addEventListener('abort', remove, { once: true });
  if (ending.aborted) remove();
  const isOver = await Promise.race([takes().then((isTaken) => !isTaken), server.removed.then(() => true)]);
  // What was taken meanwhile ends with it.
  if (isOver) await server.remove();
  else await collectGarbage();
  await server.removed;
}
