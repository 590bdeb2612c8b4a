/** Checks the types of what a program passes to a pool. What its sandboxes are made of is checked with them. */
import * as v from 'valibot';
import { configError, quote } from '../../config/errors.js';
import { checkName } from '../../config/name.js';
import { check } from '../prepare/check-values.js';
import type { TakeOptions } from './types.js';

const MOST_MEMBERS = 64;

const counts = `a whole number from 1 to ${MOST_MEMBERS}`;
const size = v.pipe(v.number(counts), v.safeInteger(counts), v.minValue(1, counts), v.maxValue(MOST_MEMBERS, counts));
const signal = v.optional(v.instance(AbortSignal, 'an AbortSignal'));
const poolSchema = v.looseObject({ size, signal }, 'an object: { size, … }');

const takeEntries = {
  name: v.pipe(v.string('a string'), v.minLength(1, 'a name')),
  signal,
} satisfies Record<keyof TakeOptions, v.GenericSchema>;
const takeSchema = v.partial(v.strictObject(takeEntries, 'an object'));

/** @throws {SandboxError} `config-key-unknown`, `config-value-invalid` */
export function checkPool(options: unknown): void {
  check(poolSchema, options, 'the pool', []);
  for (const key of ['name', 'uuid'])
    if (Object.hasOwn(options as object, key))
      throw configError(
        'config-key-unknown',
        `the pool has the key ${quote(key)}`,
        'leave it out; each sandbox has its own',
      );
}

/** @throws {SandboxError} `config-key-unknown`, `config-value-invalid`, `name-invalid`, `name-too-long` */
export function checkTake(options: TakeOptions): void {
  check(takeSchema, options, 'the options of take', Object.keys(takeEntries));
  if (options.name !== undefined) checkName(options.name);
}
