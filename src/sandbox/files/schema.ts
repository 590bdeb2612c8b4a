/** Checks the types of what a program passes to the methods of `files`. */
import * as v from 'valibot';
import { bytesOf } from '../../util/raw-text.js';
import { check } from '../prepare/check-values.js';
import type { CopyOptions } from './tree/types.js';
import type { MkdirOptions, ReadOptions, RemoveOptions, StatOptions, WatchOptions, WriteOptions } from './types.js';

/** As of Linux, without the NUL byte. */
const MOST_PATH_BYTES = 4095;

const text = v.string('a string');
const flag = v.boolean('true or false');
const PATH = `a path of 1 to ${MOST_PATH_BYTES} bytes without a NUL byte`;
const path = v.pipe(
  v.string(PATH),
  v.check((value) => {
    const { length } = bytesOf(value);
    return length > 0 && length <= MOST_PATH_BYTES && !value.includes('\0');
  }, PATH),
);
const MODE = 'permissions: a whole number from 0 to 0o7777';
const mode = v.pipe(v.number(MODE), v.integer(MODE), v.minValue(0, MODE), v.maxValue(0o7777, MODE));
const BYTES = 'a whole number of bytes, 0 or more';

const common = { user: text, signal: v.instance(AbortSignal, 'an AbortSignal') };
const entries = {
  read: {
    ...common,
    encoding: v.literal('utf8', '"utf8", or left out for bytes'),
    maxBytes: v.pipe(v.number(BYTES), v.safeInteger(BYTES), v.minValue(0, BYTES)),
  } satisfies Record<keyof ReadOptions, v.GenericSchema>,
  write: { ...common, mode, append: flag } satisfies Record<keyof WriteOptions, v.GenericSchema>,
  stat: { ...common, followLinks: flag } satisfies Record<keyof StatOptions, v.GenericSchema>,
  mkdir: { ...common, parents: flag, mode } satisfies Record<keyof MkdirOptions, v.GenericSchema>,
  remove: { ...common, recursive: flag, force: flag } satisfies Record<keyof RemoveOptions, v.GenericSchema>,
  watch: { ...common, recursive: flag } satisfies Record<keyof WatchOptions, v.GenericSchema>,
  copy: {
    ...common,
    maxBytes: v.pipe(v.number(BYTES), v.safeInteger(BYTES), v.minValue(0, BYTES)),
    onProgress: v.function('a function'),
  } satisfies Record<keyof CopyOptions, v.GenericSchema>,
  other: common,
};

const data = v.union(
  [
    text,
    v.instance(Uint8Array),
    v.custom<object>((value) => typeof value === 'object' && value !== null && Symbol.asyncIterator in value),
  ],
  'a string, bytes, or a stream of them',
);

/**
 * @param method whose options they are
 * @throws {SandboxError} `config-key-unknown`, `config-value-invalid`
 */
export function checkFileCall(method: keyof typeof entries, paths: readonly unknown[], options: unknown): void {
  for (const each of paths) check(path, each, 'the path', []);
  const known = entries[method];
  check(v.partial(v.strictObject(known, 'an object')), options, 'the options', Object.keys(known));
}

/** @throws {SandboxError} `config-value-invalid` */
export function checkData(value: unknown): void {
  check(data, value, 'what is written', []);
}

/** @throws {SandboxError} `config-value-invalid` */
export function checkPiece(value: unknown): void {
  check(v.union([text, v.instance(Uint8Array)], 'a string or bytes'), value, 'a piece of what is written', []);
}
