/** What is asked of the process that holds a pool, and what it answers: docs/protocol.md. Each side checks the other. */
import * as v from 'valibot';
import { SandboxError, type Stage } from '../../util/errors.js';

const MOST_TEXT = 65_536;
const MOST_WORDS = 64;
const MOST_WORD = 1024;
const MOST_PORTS = 64;

const whole = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const text = v.pipe(v.string(), v.maxLength(MOST_TEXT));
const name = v.pipe(v.string(), v.minLength(1), v.maxLength(4096));
const port = v.pipe(whole, v.maxValue(65_535));

const take = v.strictObject({
  ask: v.literal('take'),
  /** Undefined: that of its domain. */
  name: v.optional(name),
  /** What will run in it, for the record. */
  command: v.pipe(v.array(v.pipe(v.string(), v.maxLength(MOST_WORD))), v.maxLength(MOST_WORDS)),
  /** What its application writes goes to its log. */
  detached: v.boolean(),
  publish: v.pipe(
    v.array(v.strictObject({ host: text, hostPort: port, guestPort: v.pipe(port, v.minValue(1)) })),
    v.maxLength(MOST_PORTS),
  ),
});

export const poolRequests = [
  /** The sandbox is stopped when the connection ends, unless it has asked to keep it. */
  take,
  v.strictObject({ ask: v.literal('pool-stats') }),
  /** Ends the pool. Refused while sandboxes that were taken run, unless it is forced. Answered when all is gone. */
  v.strictObject({ ask: v.literal('pool-rm'), force: v.boolean() }),
] as const;

export type TakeRequest = v.InferOutput<typeof take>;

/** As much of a command as a record of a sandbox in a pool has. */
export function shortCommand(command: readonly string[]): string[] {
  return command.slice(0, MOST_WORDS).map((word) => word.slice(0, MOST_WORD));
}

const failure = v.object({
  error: v.object({
    stage: text,
    code: text,
    message: text,
    remedy: text,
    exitCode: v.pipe(whole, v.maxValue(255)),
    consoleTail: v.array(text),
  }),
});

const taken = v.object({
  name,
  /** That of its record: another one of this name has another. */
  uuid: v.pipe(text, v.uuid()),
  /** In the order of `publish`: `ADDRESS:PORT` of this host. */
  published: v.array(text),
});

export type Taken = v.InferOutput<typeof taken>;

const poolState = v.object({
  /** How many are to wait. */
  size: whole,
  /** How many wait. */
  idle: whole,
  /** How many are being started. */
  starting: whole,
  /** Names of those that were taken and run. */
  taken: v.array(name),
  /** How many were taken since the pool was created. */
  takenInAll: whole,
  /** Names of the domains of those that wait. */
  waiting: v.array(name),
  /** Undefined: none waits, or their memory may not be looked at. */
  privateBytesPerMember: v.optional(whole),
});

/** How it is with a pool. The names are keys of JSON. */
export type PoolState = v.InferOutput<typeof poolState>;

const removed = v.object({ running: v.array(name) });

/** What is answered in place of a result. */
export function failedAnswer({ stage, code, message, remedy, exitCode, consoleTail }: SandboxError): object {
  const cut = (long: string) => long.slice(0, MOST_TEXT);
  return {
    error: { stage, code, message: cut(message), remedy: cut(remedy), exitCode, consoleTail: consoleTail.map(cut) },
  };
}

/**
 * @returns undefined for what makes no sense
 * @throws {SandboxError} what the holder has failed with
 */
export function parseTaken(json: string): Taken | undefined {
  const answer = parsed(v.union([failure, taken]), json);
  if (answer === undefined || !('error' in answer)) return answer;
  throw new SandboxError({ ...answer.error, stage: answer.error.stage as Stage });
}

/** @returns undefined for what makes no sense */
export function parsePoolState(json: string): PoolState | undefined {
  return parsed(poolState, json);
}

/** @returns the names of sandboxes for which the pool stays; undefined for what makes no sense */
export function parseRemoved(json: string): readonly string[] | undefined {
  return parsed(removed, json)?.running;
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
