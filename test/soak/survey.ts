/** Around every run: a snapshot before, a search for leftovers after, and a usual sandbox that has to work. */
import { execFileSync } from 'node:child_process';
import { readdirSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type RunOptions, type RunResult, runSandbox } from '../helpers/run.js';
import { DAEMONS, type Driver, type Ground, PREFIX, URIS } from './ground.js';
import {
  describeLeft,
  type Kind,
  type Left,
  leftSince,
  type Places,
  type Snapshot,
  takeSnapshot,
  withTerminal,
} from './leftovers.js';
import { describeProcess, keyOf, processes, roleOf, signal } from './processes.js';
import { argumentsOf } from './sandbox.js';

/** In milliseconds: how long what a run left may take to go. */
const GRACE_MS = 10_000;
/** How long a usual sandbox may take. */
const USUAL_MS = 60_000;

/** The directory of a sandbox. */
const STATE_DIRECTORY = /\/libvirt-sandbox\/[^/]+$/;

/** What became of a run. */
export interface Survey {
  /** What was wrong with it, apart from what it left. */
  readonly findings: readonly string[];
  /** It still runs, so nothing has to be waited for. */
  readonly hangs?: boolean;
  /** The settings of the terminal that it ran at, now and before. */
  readonly settings?: (() => string) | undefined;
  readonly settingsBefore?: string | undefined;
  /** Kinds of leftovers that others have to answer for. */
  readonly forgiven?: readonly Kind[];
  /** The directory of the sandbox may stay until the next one ends. */
  readonly mayLeaveDirectory?: boolean;
  /** Called when everything was looked at. */
  readonly close?: () => void;
}

/**
 * Does `work`, which runs a sandbox of that name or several, and looks around afterwards.
 * @param isFollowed false where the next run is a usual one anyway
 * @returns what was found, empty if all is well
 */
export async function surveyed(
  ground: Ground,
  seed: number,
  driver: Driver,
  work: (name: string, before: Snapshot) => Promise<Survey>,
  { isFollowed = true }: { readonly isFollowed?: boolean } = {},
): Promise<string[]> {
  const uri = URIS[driver];
  await ground.daemons.ensure(uri);
  const name = `${PREFIX}${seed.toString(16)}`;
  const places = ground.places(driver, name);
  const before = await takeSnapshot(places);
  const { settings, settingsBefore, ...run } = await work(name, before);
  await ground.daemons.ensure(uri);
  const all = settingsBefore === undefined ? before : withTerminal(before, settingsBefore);
  const found = await leftSince(all, { ...places, terminal: settings }, run.hangs === true ? 0 : GRACE_MS);
  // The usual sandbox below is the next one.
  const isForNext = ({ kind, what }: Left) => run.mayLeaveDirectory && kind === 'file' && STATE_DIRECTORY.test(what);
  const left = found.filter((each) => !(isFollowed && isForNext(each)));
  const findings = [...run.findings, ...describeLeft(left.filter(({ kind }) => run.forgiven?.includes(kind) !== true))];
  if (findings.length > 0 || left.length > 0) await cleanUp(ground, uri, before, places, found);
  run.close?.();
  // What could not be removed is said once.
  const then = new Map([...before, ...(left.length > 0 ? await takeSnapshot(places) : [])]);
  if (isFollowed) findings.push(...(await usual(ground, name, driver, then, places)));
  return findings;
}

/** Runs virt-sandbox to its end. @returns undefined if it does not end within `boundMs` milliseconds */
export async function endOf(
  args: readonly string[],
  options: RunOptions,
  boundMs: number,
): Promise<RunResult | undefined> {
  try {
    return await runSandbox(args, { ...options, timeout: boundMs });
  } catch (error) {
    if (/did not end within/.test(String(error))) return undefined;
    throw error;
  }
}

/** A usual sandbox of the same name, as somebody would start it next. */
async function usual(
  ground: Ground,
  name: string,
  driver: Driver,
  before: Snapshot,
  places: Places,
): Promise<string[]> {
  const plain = { driver, boot: 'warm', terminal: false, share: false, network: false, disk: false } as const;
  const args = [...argumentsOf(ground, name, plain), '--', 'true'];
  const ended = await endOf(args, ground.optionsOf(driver), USUAL_MS);
  const left = await leftSince(before, places, GRACE_MS);
  if (ended?.code === 0 && ended.stderr === '' && left.length === 0) return [];
  await cleanUp(ground, URIS[driver], before, places, left);
  const status = `the next run ${ended === undefined ? 'hangs' : `has status ${ended.code ?? ended.signal}`}`;
  return [[status, ended?.stderr.slice(-500) ?? '', ...describeLeft(left)].filter((text) => text !== '').join(': ')];
}

/** The processes that were not there before, for people. */
export function newProcesses(before: Snapshot): string[] {
  return processes()
    .filter((process) => !before.has(`process ${keyOf(process)}`) && !DAEMONS.has(roleOf(process)))
    .map(describeProcess);
}

/** Ends and removes what a run left, so that the next one is not judged for it. */
async function cleanUp(ground: Ground, uri: string, before: Snapshot, places: Places, left: readonly Left[]) {
  const daemons = new Set(ground.daemons.pids);
  for (let tries = 0; tries < 5; tries += 1) {
    for (const process of processes()) {
      if (before.has(`process ${keyOf(process)}`) || daemons.has(process.pid) || !places.isOurs(process)) continue;
      signal(process.pid, 'SIGKILL');
    }
    await sleep(100);
  }
  await ground.daemons.ensure(uri);
  await ground.daemons.destroyDomains(uri);
  const still = await leftSince(before, places, 1000);
  for (const { kind, what } of [...still, ...left]) {
    if (kind === 'mount') tolerate(() => execFileSync('umount', ['-l', what.split(' ')[0] ?? ''], { stdio: 'ignore' }));
    if (kind === 'file') tolerate(() => rmSync(what, { recursive: true, force: true }));
    if (kind === 'control group') removeGroup(what);
  }
}

/** Control groups are the whole host's, and do not go with the namespaces of the soak. */
function removeGroup(path: string): void {
  tolerate(() => {
    for (const entry of readdirSync(path, { withFileTypes: true })) {
      if (entry.isDirectory()) removeGroup(join(path, entry.name));
    }
    rmdirSync(path);
  });
}

/** What is gone already need not be removed; what cannot be is said of the next run, if it matters. */
function tolerate(work: () => void): void {
  try {
    work();
  } catch {}
}
