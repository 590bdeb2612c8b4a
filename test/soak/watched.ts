/** A run that is watched: it is bounded, judged, searched for leftovers, cleaned up, and followed by another one. */
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Exit } from '../helpers/pty.js';
import { runSandbox } from '../helpers/run.js';
import { type Ground, PREFIX, URIS } from './ground.js';
import {
  describeLeft,
  type Left,
  leftSince,
  type Places,
  type Snapshot,
  takeSnapshot,
  withTerminal,
} from './leftovers.js';
import { describeProcess, keyOf, processes, signal } from './processes.js';
import { argumentsOf, type Configuration, type Started, start } from './sandbox.js';

/** In milliseconds: how long a launcher may take to end when all has been done to it that the plan has. */
const END_MS = 15_000;
/** And from its start, whatever happens: its own deadline, and an end. */
const WHOLE_MS = 60_000;
/** How long what it left may take to go. */
const GRACE_MS = 10_000;

/** What became of a run. */
export interface Outcome extends Exit {
  readonly out: string;
  readonly err: string;
}

/** What is done to a sandbox while it runs; it has the application end. */
export type Act = (started: Started, before: Snapshot) => Promise<void>;

/** @returns what is wrong with an outcome */
export type Judge = (outcome: Outcome) => string[];

/** Runs a sandbox as planned. @returns what was found, empty if all is well */
export async function watched(
  ground: Ground,
  seed: number,
  configuration: Configuration,
  act: Act,
  judge: Judge,
): Promise<string[]> {
  const { driver } = configuration;
  const uri = URIS[driver];
  await ground.daemons.ensure(uri);
  const places = ground.places(driver);
  const before = await takeSnapshot(places);
  const name = `${PREFIX}${seed.toString(16)}`;
  const started = start(ground, name, configuration);
  const done = act(started, before).then(
    () => undefined,
    (error: unknown) => String(error),
  );
  const exit = await bounded(started, done);
  const findings: string[] = [];
  if (exit === undefined) {
    findings.push(`it hangs, with ${newProcesses(before).join('; ')}; it wrote: ${tail(started)}`);
  } else {
    const outcome = { ...exit, out: started.out(), err: started.err() };
    findings.push(...judge(outcome).map((what) => `${what}; it wrote: ${tail(started)}`));
    const failure = await done;
    if (failure !== undefined) findings.push(`the soak failed: ${failure}`);
  }
  await ground.daemons.ensure(uri);
  const { settings, settingsBefore } = started;
  const all = settingsBefore === undefined ? before : withTerminal(before, settingsBefore);
  const left = await leftSince(all, { ...places, terminal: settings }, exit === undefined ? 0 : GRACE_MS);
  findings.push(...describeLeft(left));
  if (findings.length > 0) await cleanUp(ground, uri, before, places, left);
  started.close();
  findings.push(...(await next(ground, name, configuration, before, places)));
  return findings;
}

/** The launcher's end; undefined if it takes too long. */
async function bounded(started: Started, done: Promise<unknown>): Promise<Exit | undefined> {
  const late = async () => {
    await Promise.race([done, sleep(WHOLE_MS - END_MS, undefined, { ref: false })]);
    await sleep(END_MS, undefined, { ref: false });
    return undefined;
  };
  return Promise.race([started.exited, late()]);
}

/** A usual sandbox of the same name, as somebody would start it next. */
async function next(
  ground: Ground,
  name: string,
  { driver }: Configuration,
  before: Snapshot,
  places: Places,
): Promise<string[]> {
  const plain = { driver, boot: 'warm', terminal: false, share: false, network: false, disk: false } as const;
  const args = [...argumentsOf(ground, name, plain), '--', 'true'];
  const options = { ...ground.optionsOf(driver), timeout: WHOLE_MS };
  const {
    code,
    signal: by,
    stderr,
  } = await runSandbox(args, options).catch((error: unknown) => ({
    code: undefined,
    signal: null,
    stderr: String(error),
  }));
  const left = await leftSince(before, places, GRACE_MS);
  if (code === 0 && stderr === '' && left.length === 0) return [];
  await cleanUp(ground, URIS[driver], before, places, left);
  const status = `the next run has status ${code ?? by ?? 'none'}`;
  return [[status, stderr.slice(-500), ...describeLeft(left)].filter((text) => text !== '').join(': ')];
}

function newProcesses(before: Snapshot): string[] {
  return processes()
    .filter((process) => !before.has(`process ${keyOf(process)}`))
    .map(describeProcess);
}

/** Ends and removes what a run left, so that the next one is not judged for it. */
async function cleanUp(ground: Ground, uri: string, before: Snapshot, places: Places, left: readonly Left[]) {
  const daemons = new Set(ground.daemons.pids);
  for (let tries = 0; tries < 5; tries += 1) {
    for (const process of processes()) {
      if (before.has(`process ${keyOf(process)}`) || daemons.has(process.pid)) continue;
      // A stopped process does not end before it goes on, if it is traced.
      signal(process.pid, 'SIGKILL');
      signal(process.pid, 'SIGCONT');
    }
    await sleep(100);
  }
  await ground.daemons.ensure(uri);
  await ground.daemons.destroyDomains(uri);
  const still = await leftSince(before, places, 1000);
  for (const { kind, what } of [...still, ...left]) {
    if (kind === 'mount') tolerate(() => execFileSync('umount', ['-l', what.split(' ')[0] ?? ''], { stdio: 'ignore' }));
    if (kind === 'file') tolerate(() => rmSync(what, { recursive: true, force: true }));
  }
}

/** What is gone already need not be removed. */
function tolerate(work: () => void): void {
  try {
    work();
  } catch {
    // Said by the next run, if it matters.
  }
}

function tail(started: Started): string {
  return JSON.stringify(`${started.out()}${started.err()}`.slice(-600));
}
