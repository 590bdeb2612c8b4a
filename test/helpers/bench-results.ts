/** Invented results of virt-sandbox-bench. */
import { type Kind, makeResult, type Result, type VariantResult } from '../../src/bench/result/result.js';
import { summarize } from '../../src/bench/result/statistics.js';
import { span } from '../../src/bench/timeline/span.js';
import type { Timeline } from '../../src/bench/timeline/timeline.js';

export const host = {
  ...{ processors: 2, model: 'A processor', acceleration: 'tcg', kernel: '6.12', qemu: '10.0', libvirt: '11.3' },
  ...{ node: '20.20', connection: 'qemu:///system', load: 0.1 },
};

export const timeline: Timeline = {
  wall: 2_000_000,
  stages: [
    span('start <of> "it" & more', 'host', 0, 100_000),
    span('unexplained', 'unexplained', 100_000, 150_000),
    span('kernel', 'guest', 150_000, 1_900_000, [span('an_initcall', 'guest', 200_000, 700_000)], 'a note'),
    span('end', 'libvirt', 1_900_000, 2_000_000),
  ],
  ...{ alignment: { offset: 150_000, error: 230, method: 'round-trip' as const } },
  ...{ unexplained: 50_000, measuring: 0, rest: 1_250_000 },
};

export function variant(label: string, values: readonly number[], more: Partial<VariantResult> = {}): VariantResult {
  return {
    ...{ label, profile: 'default', options: ['--', '/bin/true'], values },
    ...{ summary: values.length === 0 ? null : summarize(values), parts: { kernel: 1.5 }, ...more },
  };
}

export function result(kind: Kind, variants: readonly VariantResult[], unit: Result['unit'] = 's'): Result {
  return makeResult(
    kind,
    { version: '1.0', command: ['virt-sandbox-bench', kind], host, unit },
    { interrupted: false },
    variants,
  );
}

export const VALUES = [2, 2.01, 2.02, 1.99, 2.0];
export const SLOWER = VALUES.map((value) => value * 1.2);
