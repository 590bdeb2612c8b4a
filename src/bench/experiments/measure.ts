/** The commands `run` and `compare`: many runs of each variant in turns, then one run of each in detail. */
import { readSnapshot } from '../../image/snapshot/record.js';
import { makeResult, type Result, variantResult } from '../result/result.js';
import { baselineArgv, COLD } from '../run/baseline.js';
import { asksForContainer, commandLineUri, imageFacts } from '../run/commands.js';
import { nativeArgv } from '../run/native-argv.js';
import { Interrupted } from '../run/process.js';
import { takeSample } from '../run/sample.js';
import { measureInTurns, type Series } from '../run/series.js';
import type { Session } from '../run/session.js';
import {
  type BootVariant,
  profileOptions,
  type RestoreVariant,
  type SandboxVariant,
  type Variant,
} from '../run/variant.js';
import type { Timeline } from '../timeline/timeline.js';

export interface MeasureOptions {
  readonly kind: 'run' | 'compare';
  readonly runs: number;
  readonly warmUp: number;
  /** Also measure a bare QEMU whose guest powers off at once. */
  readonly withBaseline: boolean;
  /** Also measure one run of each variant in detail. */
  readonly inDetail: boolean;
}

export async function measure(
  session: Session,
  variants: readonly SandboxVariant[],
  options: MeasureOptions,
): Promise<Result> {
  const { kind, runs, warmUp } = options;
  const baselines = options.withBaseline && session.unit === 's' ? await baselinesOf(session, variants) : [];
  const measured = await measureInTurns([...variants, ...baselines], { ...session, runs, warmUp });
  const results = [];
  for (const series of measured.series) {
    const wanted = options.inDetail && !measured.interrupted;
    results.push(variantResult(series, wanted ? await detail(session, series) : undefined));
  }
  // An interruption may also have come during a run in detail.
  const interrupted = measured.interrupted || session.signal.aborted;
  return makeResult(kind, session, { interrupted }, results);
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

/** One baseline for each way in which the variants start. Variants with the same options and profile share one. */
export async function baselinesOf(session: Session, variants: readonly SandboxVariant[]): Promise<Variant[]> {
  const ways = new Map<string, SandboxVariant[]>();
  for (const variant of variants) {
    const { name: _name, description: _description, ...boot } = variant.profile;
    const way = JSON.stringify([variant.options, boot]);
    ways.set(way, [...(ways.get(way) ?? []), variant]);
  }
  const baselines: Variant[] = [];
  for (const alike of ways.values()) {
    const labels = alike.map(({ label }) => label);
    const [first] = alike;
    const which = ways.size === 1 ? '' : ` of ${labels.join(', ')}`;
    for (const one of first === undefined ? [] : await baselineVariant(session, first))
      baselines.push({ ...one, label: one.label.replace(/ \(the floor\)$/, `$&${which}`), baselineOf: labels });
  }
  return baselines;
}

/**
 * The baseline of a variant: a bare QEMU whose guest does the least that any sandbox of this kind does, whatever this
 * one mounts or runs. Empty for a container, and where libvirt does not give QEMU's command line.
 */
export async function baselineVariant(
  session: Session,
  { label, options, profile }: SandboxVariant,
): Promise<(BootVariant | RestoreVariant)[]> {
  if (asksForContainer(options)) return [];
  const { image, program, scratch, say } = session;
  const words = [...options, ...profileOptions(profile, scratch)];
  try {
    const { uri: own, warmImage } = imageFacts(program, words);
    const uri = commandLineUri(own, scratch);
    const snapshot = warmImage === undefined ? undefined : readSnapshot(warmImage);
    if (snapshot === undefined)
      return [
        {
          kind: 'boot',
          label: 'bare QEMU (the floor)',
          baselineOf: [label],
          argv: await baselineArgv({ ...session, image: { ...image, uri } }, [...words, ...COLD]),
        },
      ];
    const argv = nativeArgv({ program, uri, scratch }, words);
    return [
      {
        kind: 'restore',
        label: 'bare QEMU that restores the same state and runs /bin/true (the floor)',
        baselineOf: [label],
        argv,
        snapshot,
      },
    ];
  } catch (error) {
    say(`no floor to compare with: ${error instanceof Error ? error.message : String(error)}`);
    return [];
  }
}
