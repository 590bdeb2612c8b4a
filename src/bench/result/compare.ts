/** Compares two stored results. */
import type { HostFacts } from '../run/host.js';
import { comparison, type Result, type VariantResult } from './result.js';

/**
 * Compares each variant of `one` with its counterpart in `against`: the variant with the same profile, options and
 * label; else the only one with the same profile and options; else the only one, where both results have just one.
 * @throws {Error} when the units differ, or no variant has a counterpart
 */
export function compareResults(one: Result, against: Result, name: string, againstName: string): Result {
  if (one.unit !== against.unit) throw new Error(`${name} is in ${one.unit}, ${againstName} in ${against.unit}`);
  const own = measured(one);
  const others = measured(against);
  const pairs = own.flatMap((variant) => {
    const sole = own.length === 1 && others.length === 1 ? others[0] : undefined;
    const alike = others.filter((candidate) => same(candidate, variant));
    const other = alike.find(({ label }) => label === variant.label) ?? (alike.length === 1 ? alike[0] : sole);
    return other ? [[labelled(variant, name), labelled(other, againstName)] as const] : [];
  });
  if (pairs.length === 0) throw new Error(`${name} and ${againstName} have nothing in common that was measured`);
  return {
    ...one,
    kind: 'compare',
    interrupted: one.interrupted || against.interrupted,
    variants: pairs.flat(),
    comparisons: pairs.map(([a, b]) => comparison(a, b, one.unit)),
  };
}

/** Facts in which the two hosts differ, as sentences. Such a difference may show in the figures. */
export function differingHosts(one: Result, against: Result, name: string, againstName: string): string[] {
  const facts = Object.keys(one.host).filter((fact): fact is keyof HostFacts => fact !== 'load');
  return facts
    .filter((fact) => one.host[fact] !== against.host[fact])
    .map((fact) => `${fact} is ${one.host[fact]} in ${name}, and ${against.host[fact]} in ${againstName}`);
}

function measured({ variants }: Result): VariantResult[] {
  return variants.filter(({ values, profile }) => values.length > 0 && profile !== undefined);
}

function same(one: VariantResult, other: VariantResult): boolean {
  return one.profile === other.profile && one.options.join('\0') === other.options.join('\0');
}

function labelled(variant: VariantResult, file: string): VariantResult {
  return { ...variant, label: `${variant.label} in ${file}` };
}
