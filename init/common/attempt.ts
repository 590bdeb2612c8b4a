/** Operations that the guest may refuse. */
import { type Guest, type Operation, OperationError, type ResultOf } from '../../src/protocol/operations.js';

/**
 * What an operation answers; undefined where the guest refuses it, which stops nothing behind it. A connection that breaks is an error as
 * ever.
 */
export async function attempt<T extends Operation>(guest: Guest, operation: T): Promise<ResultOf<T> | undefined> {
  try {
    return (await guest.call(operation, { tolerate: true })).value;
  } catch (error) {
    if (error instanceof OperationError) return undefined;
    throw error;
  }
}
