/** Sends a plan to a guest. */
import { type Guest, type Operation, OperationError } from '../../src/protocol/operations.js';
import type { Step } from './step.js';

/** One operation as observers see it, for debugging and timelines. */
export interface OperationReport {
  readonly step: string;
  readonly operation: Operation;
  /** Microseconds in the guest; 0 if it failed or was skipped. */
  readonly microseconds: number;
  readonly error: OperationError | undefined;
  readonly tolerated: boolean;
}

/** A failed step of a plan. */
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
 * Sends every call of the plan without waiting in between, so the whole plan costs one round trip. The guest skips what
 * is behind a call that fails, unless the call tolerates that.
 * @throws {StepError} for the first call that failed and did not tolerate it
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
