/** Checks the types of what a program passes to `spawn` and `run`. */
import { constants } from 'node:buffer';
import * as v from 'valibot';
import { MAX_TIME_LIMIT } from '../../protocol/wire.js';
import { check } from '../prepare/check-values.js';
import type { RunOptions, SpawnOptions } from './types.js';

const text = v.string('a string');
const size = v.pipe(v.number('a number'), v.safeInteger('a whole number'), v.minValue(1, 'a number above 0'));

const common = {
  cwd: text,
  env: v.record(v.pipe(text, v.regex(/^[^=\0]+$/, 'names without =')), text, 'an object of strings'),
  user: text,
  // A text is read where its value is used, and checked there.
  timeout: v.union(
    [text, v.pipe(size, v.maxValue(MAX_TIME_LIMIT))],
    `1 to ${MAX_TIME_LIMIT} milliseconds, or a text: 5s`,
  ),
  signal: v.instance(AbortSignal, 'an AbortSignal'),
  maxBuffer: v.pipe(size, v.maxValue(constants.MAX_STRING_LENGTH, `${constants.MAX_STRING_LENGTH} bytes at most`)),
};
const spawnEntries = {
  ...common,
  tty: v.strictObject({ rows: size, columns: size, type: v.optional(text) }, 'an object: { rows, columns }'),
} satisfies Record<keyof SpawnOptions, v.GenericSchema>;
const runEntries = {
  ...common,
  input: v.union([text, v.instance(Uint8Array)], 'a string or bytes'),
  reject: v.boolean('true or false'),
} satisfies Record<keyof RunOptions, v.GenericSchema>;

const spawnSchema = v.partial(v.strictObject(spawnEntries, 'an object'));
const runSchema = v.partial(v.strictObject(runEntries, 'an object'));
const commandSchema = v.union(
  [text, v.pipe(v.array(text), v.minLength(1))],
  'a string for sh -c, or an array of strings: the program and its arguments',
);

/** @throws {SandboxError} `config-key-unknown`, `config-value-invalid` */
export function checkSpawn(command: unknown, options: unknown): void {
  check(commandSchema, command, 'the command', []);
  check(spawnSchema, options, 'the options of the process', Object.keys(spawnEntries));
}

/** @throws {SandboxError} as {@link checkSpawn} */
export function checkRun(command: unknown, options: unknown): void {
  check(commandSchema, command, 'the command', []);
  check(runSchema, options, 'the options of the run', Object.keys(runEntries));
}
