/** Operations whose failure is an answer too. */
import { type Guest, type Operation, OperationError, type ResultOf } from '../../src/protocol/operations.js';

/**
 * Carries out an operation that may fail. Operations behind it in the guest's queue run all the same.
 * @returns the result, or undefined if the guest refused the operation
 * @throws if the connection breaks
 */
export async function attempt<T extends Operation>(guest: Guest, operation: T): Promise<ResultOf<T> | undefined> {
  try {
    return (await guest.call(operation, { tolerate: true })).value;
  } catch (error) {
    if (error instanceof OperationError) return undefined;
    throw error;
  }
}

/** The same, for one that has no result. @returns whether it was carried out */
export async function succeeds(guest: Guest, operation: Operation): Promise<boolean> {
  try {
    await guest.call(operation, { tolerate: true });
    return true;
  } catch (error) {
    if (error instanceof OperationError) return false;
    throw error;
  }
}
