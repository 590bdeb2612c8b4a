/** Drives a guest through a plan. */
import { type Guest, type Operation, OperationError } from '../../src/protocol/operations.js';
import type { Step } from './step.js';

/** What an observer is told of every operation, for debugging and timelines. */
export interface OperationReport {
  readonly step: string;
  readonly operation: Operation;
  /** Microseconds in the guest; 0 where it was skipped. */
  readonly microseconds: number;
  readonly error: OperationError | undefined;
  readonly tolerated: boolean;
}

/** A step of the plan that failed. */
export class StepError extends Error {
  readonly step: string;
  readonly operation: OperationError;

  constructor(step: string, operation: OperationError) {
    super(operation.message, { cause: operation });
    this.name = 'StepError';
    this.step = step;
    this.operation = operation;
  }
}

/**
 * Sends every call of the plan without waiting in between, so that the whole plan costs one round trip.
 * @throws {StepError} for the first call that failed and was not to be tolerated
 */
export async function drivePlan(
  guest: Guest,
  steps: readonly Step[],
  observe?: (report: OperationReport) => void,
): Promise<void> {
  const outcomes = steps.flatMap((step) =>
    step.calls.map(async ({ operation, tolerate = false }): Promise<StepError | undefined> => {
      try {
        const { microseconds } = await guest.call(operation, { tolerate });
        observe?.({ step: step.name, operation, microseconds, error: undefined, tolerated: tolerate });
        return undefined;
      } catch (error) {
        if (!(error instanceof OperationError)) throw error;
        observe?.({ step: step.name, operation, microseconds: 0, error, tolerated: tolerate });
        return tolerate || error.skipped ? undefined : new StepError(step.name, error);
      }
    }),
  );
  const settled = await Promise.allSettled(outcomes);
  for (const outcome of settled) {
    if (outcome.status === 'rejected') throw outcome.reason;
    if (outcome.value) throw outcome.value;
  }
}
