/** Two results that were kept, against each other. */
import { comparison, type Result, type VariantResult } from './result.js';

/**
 * Every variant of the one against that of the other which boots by the same profile, or against its only one.
 * @throws {Error} when the two cannot be compared
 */
export function compareResults(one: Result, against: Result, name: string, againstName: string): Result {
  if (one.unit !== against.unit) throw new Error(`${name} is in ${one.unit}, ${againstName} in ${against.unit}`);
  const own = measured(one);
  const others = measured(against);
  const pairs = own.flatMap((variant) => {
    const sole = own.length === 1 && others.length === 1 ? others[0] : undefined;
    const other = others.find((candidate) => same(candidate, variant)) ?? sole;
    return other ? [[labelled(variant, name), labelled(other, againstName)] as const] : [];
  });
  if (pairs.length === 0) throw new Error(`${name} and ${againstName} have nothing in common that was measured`);
  return {
    ...one,
    kind: 'compare',
    interrupted: one.interrupted || against.interrupted,
    variants: pairs.flat(),
    comparisons: pairs.map(([a, b]) => comparison(a, b)),
  };
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
