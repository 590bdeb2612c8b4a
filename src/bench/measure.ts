/** `run` and `compare`: variants in turns, and one run of each in detail. */
import { floor } from './boot.js';
import { Interrupted } from './process.js';
import { makeResult, type Result, variantResult } from './result.js';
import { takeSample } from './sample.js';
import { measureInTurns, type Series } from './series.js';
import type { Session } from './session.js';
import type { Timeline } from './timeline/timeline.js';
import type { ProgramVariant, SandboxVariant } from './variant.js';
import { profileOptions } from './variant.js';

export interface MeasureOptions {
  readonly kind: 'run' | 'compare';
  readonly runs: number;
  readonly warmUp: number;
  /** Also a bare QEMU, whose guest does nothing but end. */
  readonly withFloor: boolean;
  /** Also one run of each in detail. */
  readonly inDetail: boolean;
}

export async function measure(
  session: Session,
  variants: readonly SandboxVariant[],
  options: MeasureOptions,
): Promise<Result> {
  const { kind, runs, warmUp } = options;
  const [first] = variants;
  const floors = options.withFloor && session.unit === 's' && first ? await floorVariant(session, first) : [];
  const measured = await measureInTurns([...variants, ...floors], { ...session, runs, warmUp });
  const results = [];
  for (const series of measured.series) {
    const wanted = options.inDetail && !measured.interrupted;
    results.push(variantResult(series, wanted ? await detail(session, series) : undefined));
  }
  return makeResult(kind, session, measured, results);
}

async function detail(session: Session, { variant, failure }: Series): Promise<Timeline | undefined> {
  if (variant.kind !== 'sandbox' || failure !== undefined) return undefined;
  try {
    session.say(`${variant.label}: one run in detail`);
    return (await takeSample(variant, { ...session, unit: 's', inDetail: true })).timeline;
  } catch (error) {
    if (error instanceof Interrupted) return undefined;
    session.say(`${variant.label} in detail: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
}

/** Nothing where QEMU's command line is not to be had. */
export async function floorVariant(session: Session, { options, profile }: SandboxVariant): Promise<ProgramVariant[]> {
  try {
    const argv = await floor(session, [...options, ...profileOptions(profile, session.scratch)]);
    return [{ kind: 'program', label: 'bare QEMU (the floor)', argv }];
  } catch (error) {
    session.say(`no floor to compare with: ${error instanceof Error ? error.message : String(error)}`);
    return [];
  }
}
