/**
 * What is asked of the process that holds a sandbox, as JSON in a CONTROL call: docs/protocol.md. Each side checks what
 * the other one sends.
 */
import * as v from 'valibot';
import { SIDE_RANGE } from '../config/parsers/graphics.js';
import type { ProcessExit } from '../sandbox/process/types.js';
import { BUTTONS } from '../sandbox/screen/types.js';
import { SandboxError, type Stage } from '../util/errors.js';
import { poolRequests } from './pool/requests.js';

/** The longest time to stop, in milliseconds: more would overflow a timer. */
export const MOST_TIMEOUT_MS = 2 ** 31 - 1;

const whole = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const MOST_TEXT = 65_536;
const text = v.pipe(v.string(), v.maxLength(MOST_TEXT));

/** More than one method of a screen sends at once. */
const MOST_INPUTS = 128;
const pixel = v.pipe(v.number(), v.finite(), v.minValue(0));
const side = v.pipe(whole, v.minValue(SIDE_RANGE[0]), v.maxValue(SIDE_RANGE[1]));
const input = v.variant('type', [
  v.strictObject({
    type: v.literal('keys'),
    keys: v.pipe(v.array(v.pipe(v.string(), v.regex(/^[a-z0-9_]{1,20}$/))), v.maxLength(8)),
  }),
  v.strictObject({ type: v.literal('move'), x: pixel, y: pixel }),
  v.strictObject({ type: v.literal('button'), button: v.picklist(BUTTONS), down: v.boolean() }),
]);

const request = v.variant('ask', [
  /** Ends the application by SIGTERM, after the time by SIGKILL, and with it the sandbox. Answered when it is gone. */
  v.strictObject({ ask: v.literal('stop'), timeoutMs: v.pipe(whole, v.maxValue(MOST_TIMEOUT_MS)) }),
  /** Answered when nothing of the sandbox is left. */
  v.strictObject({ ask: v.literal('wait') }),
  v.strictObject({ ask: v.literal('kill'), signal: v.pipe(whole, v.minValue(1), v.maxValue(64)) }),
  v.strictObject({ ask: v.literal('stats') }),
  /** Nothing inside runs from the answer on, until the same host asks for `resume` or its connection ends. */
  v.strictObject({ ask: v.literal('pause') }),
  v.strictObject({ ask: v.literal('resume') }),
  /** What this connection starts from now on lives on when the connection ends. */
  v.strictObject({ ask: v.literal('keep') }),
  /** What this connection starts next is the application: signals go to it, and the sandbox ends with it. */
  v.strictObject({ ask: v.literal('application') }),
  /** Keys and the pointer of its screen. Answered when the machine has all of it. */
  v.strictObject({ ask: v.literal('input'), inputs: v.pipe(v.array(input), v.maxLength(MOST_INPUTS)) }),
  /** Answered when its screen has that size, in pixels. */
  v.strictObject({ ask: v.literal('resizeScreen'), width: side, height: side }),
  ...poolRequests,
]);

export type ControlRequest = v.InferOutput<typeof request>;

const stats = v.object({
  cpuSeconds: v.pipe(v.number(), v.minValue(0)),
  memoryBytes: whole,
  holderBytes: whole,
  processes: whole,
});

/** What a sandbox costs. */
export interface SandboxStats {
  /** Processor time of its QEMU, or of a container's processes, since they were started. */
  readonly cpuSeconds: number;
  /** Memory of its QEMU, or of a container's processes. Pages that it shares with others count in part. */
  readonly memoryBytes: number;
  /** Memory of the process that holds it, and of that one's supervisor. */
  readonly holderBytes: number;
  /** Running processes that were started in it: the application, and those beside it. */
  readonly processes: number;
}

const ending = v.union([
  v.object({
    code: v.nullable(whole),
    signal: v.nullable(v.union([v.pipe(text, v.regex(/^SIG[A-Z0-9]+$/)), whole])),
    exitCode: v.pipe(whole, v.maxValue(255)),
    timedOut: v.boolean(),
  }),
  v.object({
    error: v.object({
      stage: text,
      code: text,
      message: text,
      remedy: text,
      exitCode: v.pipe(whole, v.maxValue(255)),
      consoleTail: v.optional(v.array(text)),
    }),
  }),
]);

export type Ending = v.InferOutput<typeof ending>;

/** @returns undefined for what is no request */
export function parseRequest(json: string): ControlRequest | undefined {
  return parsed(request, json);
}

/** @returns undefined for what is none */
export function parseStats(json: string): SandboxStats | undefined {
  return parsed(stats, json);
}

/** @returns undefined for what is none */
export function parseEnding(json: string): Ending | undefined {
  return parsed(ending, json);
}

function parsed<S extends v.GenericSchema>(schema: S, json: string): v.InferOutput<S> | undefined {
  try {
    const result = v.safeParse(schema, JSON.parse(json), { abortEarly: true });
    return result.success ? result.output : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** How a sandbox ended, for {@link exitOf}. */
export function endingOf(exit: ProcessExit): Ending {
  const { code = null, signal = null, exitCode, timedOut } = exit;
  return { code, signal, exitCode, timedOut };
}

export function failedEnding({ stage, code, message, remedy, exitCode, consoleTail }: SandboxError): Ending {
  const cut = (long: string) => long.slice(0, MOST_TEXT);
  return {
    error: { stage, code, message: cut(message), remedy: cut(remedy), exitCode, consoleTail: consoleTail.map(cut) },
  };
}

/** @throws {SandboxError} that the sandbox ended with */
export function exitOf(ended: Ending): ProcessExit {
  if ('error' in ended) {
    const { stage, consoleTail = [], ...error } = ended.error;
    throw new SandboxError({ ...error, consoleTail, stage: stage as Stage });
  }
  const { code, signal, exitCode, timedOut } = ended;
  return { code: code ?? undefined, signal: (signal ?? undefined) as NodeJS.Signals | undefined, exitCode, timedOut };
}
