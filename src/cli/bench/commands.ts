/** What each command of virt-sandbox-bench does: from its arguments to its exit status. */

import type { Result } from '../../bench/result/result.js';
import { splitWords } from '../split-words.js';
import { print } from '../terminal/output.js';
import { build } from '../version.js';
import {
  checkOutputs,
  draw,
  finish,
  type OutputArguments,
  type PictureArguments,
  wantsPicture,
  waterfalls,
} from './output.js';

export interface MeasureArguments extends OutputArguments, PictureArguments {
  readonly runs?: number | undefined;
  readonly warmUp: number;
  readonly profile?: string | undefined;
  readonly options: string;
  readonly deterministic: boolean;
  readonly command: readonly string[];
}

/** A boot that counts instructions is the same every time. */
const RUNS = { timed: 10, counted: 3 };
/** The least that a comparison takes: of instructions, and of time. */
const COMPARED = { timed: 5, counted: 3 };
/** Peers take long, and are far apart. */
const PEERS = 3;

export async function runCommand(
  args: MeasureArguments & { readonly floor: boolean; readonly timeline: boolean },
): Promise<number> {
  const { inSession, sandboxVariant } = await import('../../bench/run/session.js');
  const { measure } = await import('../../bench/experiments/measure.js');
  const options = splitWords(args.options);
  const result = await inSession(sessionOptions(args, options), async (session) => {
    const variant = await sandboxVariant('virt-sandbox', { ...args, options });
    return measure(session, [{ ...variant, label: `virt-sandbox (${variant.profile.name})` }], {
      kind: 'run',
      runs: args.runs ?? (args.deterministic ? RUNS.counted : RUNS.timed),
      warmUp: args.warmUp,
      withBaseline: args.floor,
      inDetail: args.timeline,
    });
  });
  return finish(result, args);
}

export async function compareOptions(
  args: MeasureArguments & { readonly against: string; readonly threshold?: string | undefined },
): Promise<number> {
  const { inSession, sandboxVariant } = await import('../../bench/run/session.js');
  const { measure } = await import('../../bench/experiments/measure.js');
  const threshold = thresholdOf(args.threshold);
  const options = splitWords(args.options);
  const against = splitWords(args.against);
  const result = await inSession(sessionOptions(args, options), async (session) => {
    const variants = [
      await sandboxVariant(`B: ${args.against || 'without options'}`, { ...args, options: against }),
      await sandboxVariant(`A: ${args.options || 'without options'}`, { ...args, options }),
    ];
    const runs = args.runs ?? (args.deterministic ? COMPARED.counted : RUNS.timed);
    return measure(session, variants, {
      ...{ kind: 'compare', runs, warmUp: args.warmUp, withBaseline: true },
      inDetail: wantsPicture(args),
    });
  });
  return Math.max(await finish(result, args), regressed(result, threshold));
}

export async function compareFiles(
  args: OutputArguments & PictureArguments & { readonly threshold?: string | undefined },
  file: string,
  against: string,
): Promise<number> {
  const { compareResults, differingHosts } = await import('../../bench/result/compare.js');
  const { readResult } = await import('../../bench/result/result.js');
  const threshold = thresholdOf(args.threshold);
  const [one, other] = [readResult(file), readResult(against)];
  for (const difference of differingHosts(one, other, file, against))
    process.stderr.write(`virt-sandbox-bench: ${difference}\n`);
  const result = compareResults(one, other, file, against);
  return Math.max(await finish(result, { ...args, history: 'none' }), regressed(result, threshold));
}

/** Of changes: instructions are the same every time. */
function repetitions({ runs, warmUp, deterministic }: MeasureArguments) {
  return deterministic ? { runs: runs ?? 1, warmUp: 0 } : { runs: runs ?? COMPARED.timed, warmUp };
}

export async function ablateCommand(args: MeasureArguments & { readonly only?: string | undefined }): Promise<number> {
  const { inSession, sandboxVariant } = await import('../../bench/run/session.js');
  const { ablate, ablationText } = await import('../../bench/experiments/ablate.js');
  const options = splitWords(args.options);
  const result = await inSession(sessionOptions(args, options), async (session) => {
    const base = await sandboxVariant('as it is', { ...args, options });
    const only = args.only === undefined ? undefined : new RegExp(args.only);
    return ablate(session, base, { ...repetitions(args), only });
  });
  return finish(result, args, ablationText);
}

export async function tuneCommand(
  args: MeasureArguments & {
    readonly name: string;
    readonly to?: string | undefined;
    readonly only?: string | undefined;
  },
): Promise<number> {
  const { inSession, sandboxVariant } = await import('../../bench/run/session.js');
  const { tune } = await import('../../bench/experiments/tune.js');
  const { ablationText } = await import('../../bench/experiments/ablate.js');
  const options = splitWords(args.options);
  const result = await inSession(sessionOptions(args, options), async (session) => {
    const base = await sandboxVariant('as it is', { ...args, options });
    const only = args.only === undefined ? undefined : new RegExp(args.only);
    return tune(session, base, { ...repetitions(args), name: args.name, path: args.to, only });
  });
  return finish(result, args, ablationText);
}

export async function peersCommand(args: MeasureArguments): Promise<number> {
  const { inSession, sandboxVariant } = await import('../../bench/run/session.js');
  const { measurePeers, peersText } = await import('../../bench/experiments/peers.js');
  const options = splitWords(args.options);
  const result = await inSession(sessionOptions(args, options), async (session) =>
    measurePeers(session, await sandboxVariant('virt-sandbox', { ...args, options }), {
      runs: args.runs ?? PEERS,
      warmUp: args.warmUp,
    }),
  );
  return finish(result, args, peersText);
}

export async function historyCommand(args: OutputArguments): Promise<number> {
  const { historyFile, historyText, readHistory } = await import('../../bench/result/history.js');
  const path = args.history ?? historyFile();
  const { entries, unreadable } = readHistory(path);
  if (unreadable > 0)
    process.stderr.write(`virt-sandbox-bench: ${unreadable} lines of ${path} are left out: they are no results\n`);
  await print(args.json ? `${JSON.stringify(entries, null, 2)}\n` : historyText(entries));
  return 0;
}

export async function pictureCommand(args: PictureArguments, files: readonly string[]): Promise<number> {
  const { readResult } = await import('../../bench/result/result.js');
  const results = files.map(readResult);
  const shown = results.flatMap(({ variants }) => variants.filter(({ timeline }) => timeline !== undefined));
  if (shown.length === 0) throw new Error(`there is no timeline in ${files.join(', ')}`);
  if (wantsPicture(args)) await draw(results, args);
  else await print(await waterfalls(results));
  return 0;
}

export async function documentCommand(files: readonly string[]): Promise<number> {
  const { bootTimeDocument } = await import('../../bench/document.js');
  const { readResult } = await import('../../bench/result/result.js');
  await print(bootTimeDocument(files.map(readResult)));
  return 0;
}

/** @throws {Error} for what would only be found to be wrong when all is measured */
function sessionOptions(args: MeasureArguments, options: readonly string[]) {
  checkOutputs(args);
  checkCount('--runs', args.runs, 1);
  checkCount('--warm-up', args.warmUp, 0);
  const profile = args.profile === undefined ? [] : ['--profile', args.profile];
  const command = ['virt-sandbox-bench', ...process.argv.slice(2)];
  return { version: build, command, options: [...options, ...profile], deterministic: args.deterministic };
}

function checkCount(option: string, value: number | undefined, least: number): void {
  if (value === undefined || (Number.isInteger(value) && value >= least)) return;
  throw new Error(`${option} takes a whole number from ${least} on`);
}

/** `5%` or `0.05` */
function thresholdOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = text.endsWith('%') ? Number(text.slice(0, -1)) / 100 : Number(text);
  if (text.trim() === '' || !(value >= 0)) throw new Error(`--threshold takes a share such as 5%, and not ${text}`);
  return value;
}

/** A regression is one only where the interval leaves no doubt that it is slower at all, and the median says that it is by that much. */
function regressed(result: Result, threshold: number | undefined): number {
  if (threshold === undefined) return 0;
  const baselines = new Set(result.variants.filter(({ floorOf }) => floorOf !== undefined).map(({ label }) => label));
  const compared = result.comparisons.filter(({ against }) => !baselines.has(against));
  return compared.some(({ verdict, ratio }) => verdict === 'slower' && ratio > 1 + threshold) ? 1 : 0;
}
