/** One sandbox with the application of the soak, to which something is done while it runs. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Exit } from '../helpers/pty.js';
import type { Ground } from './ground.js';
import type { Kind, Snapshot } from './leftovers.js';
import { type Configuration, type Started, start } from './sandbox.js';
import { newProcesses, surveyed } from './survey.js';

/** In milliseconds: how long a launcher may take to end when all has been done to it that the plan has. */
const END_MS = 15_000;
/** And how long the plan may take. */
const PLAN_MS = 75_000;

/** What became of a run. */
export interface Outcome extends Exit {
  readonly out: string;
  readonly err: string;
}

/** What is done to a sandbox while it runs; it has the application end. */
export type Act = (started: Started, before: Snapshot) => Promise<void>;

/** @returns what is wrong with an outcome */
export type Judge = (outcome: Outcome) => string[];

/** Options of a run that usual ones do not need. */
export interface Unusual {
  /** In milliseconds: how long the plan may take. */
  readonly planMs?: number;
  /** In seconds. */
  readonly bootTimeout?: number;
  /** Variables of the environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** What others than the sandbox have to answer for, asked at its end. */
  readonly forgiven?: () => readonly Kind[];
  /** Whether its directory may stay until the next sandbox ends, asked at its end. */
  readonly mayLeaveDirectory?: () => boolean;
}

/** Runs a sandbox as planned. @returns what was found, empty if all is well */
export async function watched(
  ground: Ground,
  seed: number,
  configuration: Configuration,
  act: Act,
  judge: Judge,
  unusual: Unusual = {},
): Promise<string[]> {
  return surveyed(ground, seed, configuration.driver, async (name, before) => {
    const started = start(ground, name, configuration, unusual);
    const done = act(started, before).then(
      () => undefined,
      (error: unknown) => String(error),
    );
    const exit = await bounded(started, done, unusual.planMs ?? PLAN_MS);
    const { settings, settingsBefore, close } = started;
    const wrote = `it wrote: ${JSON.stringify(`${started.out()}${started.err()}`.slice(-600))}`;
    if (exit === undefined) {
      const findings = [`it hangs, with ${newProcesses(before).join('; ')}; ${wrote}`];
      return { findings, hangs: true, settings, settingsBefore, close };
    }
    const outcome = { ...exit, out: started.out(), err: started.err() };
    const failure = await done;
    const findings = [...judge(outcome), ...(failure === undefined ? [] : [`the soak failed: ${failure}`])];
    const said = findings.map((what) => `${what}; ${wrote}`);
    const mayLeaveDirectory = unusual.mayLeaveDirectory?.() ?? false;
    const forgiven = unusual.forgiven?.() ?? [];
    return { findings: said, settings, settingsBefore, close, forgiven, mayLeaveDirectory };
  });
}

/** The launcher's end; undefined if it takes too long. */
async function bounded(started: Started, done: Promise<unknown>, planMs: number): Promise<Exit | undefined> {
  const late = async () => {
    await Promise.race([done, sleep(planMs, undefined, { ref: false })]);
    await sleep(END_MS, undefined, { ref: false });
    return undefined;
  };
  return Promise.race([started.exited, late()]);
}
