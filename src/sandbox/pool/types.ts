/** What a pool is made of, and what it says of itself. */
import type { CreateOptions } from '../prepare/create-types.js';

/** The options of its sandboxes, and how many wait. A name or uuid would be that of one sandbox alone. */
export interface PoolOptions extends Omit<CreateOptions, 'name' | 'uuid' | 'signal'> {
  /** How many sandboxes wait, from 1 to 64. */
  readonly size: number;
  /** Cancels the creation, or closes the pool. */
  readonly signal?: AbortSignal | undefined;
}

export interface TakeOptions {
  /** The host name inside; default: the name of its domain. */
  readonly name?: string | undefined;
  /** Cancels the waiting, or stops the sandbox. */
  readonly signal?: AbortSignal | undefined;
}

export interface PoolStats {
  /** How many are to wait. */
  readonly size: number;
  /** How many wait. */
  readonly idle: number;
  /** How many are being started. */
  readonly starting: number;
  /** How many were taken since the pool was created. */
  readonly taken: number;
  /**
   * Bytes of memory that a waiting sandbox shares with nothing, the mean of all; undefined if none waits, or this user
   * may not look at their QEMU.
   */
  readonly privateBytesPerMember: number | undefined;
}
