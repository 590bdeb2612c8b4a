/** Tuning after each change was measured by itself: which are put together, and when a profile is written. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { CANDIDATES } from '../../../../src/bench/experiments/candidates.js';
import { type Attempt, writeProfile } from '../../../../src/bench/experiments/tune.js';
import { loadProfile } from '../../../../src/profile/load.js';
import { host, result, variant } from '../../../helpers/bench-results.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

const ARGUMENT = 'init_on_alloc=0';
const USELESS = 'raid=noautodetect';
const SMALL = 'nokaslr';
const INITCALL = 'param_sysfs_builtin_init';
const named = (name: string) => {
  const { kind, why, risk } = CANDIDATES.find((one) => one.name === name) ?? { kind: 'argument', why: '', risk: '' };
  return { kind, name, why, risk } as const;
};
const CHANGES = [ARGUMENT, USELESS, SMALL, INITCALL].map(named);

/** Two runs as it is, and one with each change. */
const ALONE = result(
  'tune',
  [
    variant('as it is', [1_000_000_000, 1_000_010_000]),
    variant(`with ${ARGUMENT}`, [980_000_000]),
    variant(`with ${USELESS}`, [1_000_005_000]),
    variant(`with ${SMALL}`, [999_300_000]),
    variant(`skipping ${INITCALL}`, [900_000_000]),
  ],
  'instructions',
);

/** Counts so far apart that no change shows beside them. */
const UNSTEADY = variant('as it is', [1_000_000_000, 1_300_000_000]);

/** Tunes. @param breaking names of changes with which the guest fails its check, if they come together */
async function tuned(
  t: TestContext,
  { alone = ALONE, interrupted = false, breaking = [] as readonly string[], acceleration = 'tcg' } = {},
) {
  const path = join(scratchDirectory(t), 'tuned.json');
  const said: string[] = [];
  const tried: string[][] = [];
  const base = { ...(await loadProfile('default')), kernelArguments: [], initcallBlacklist: [] };
  const attempt: Attempt = async (candidates, label) => {
    const names = candidates.map(({ name }) => name);
    tried.push(names);
    const failure = breaking.length > 0 && breaking.every((name) => names.includes(name)) ? 'no' : undefined;
    const sandbox = { kind: 'sandbox', label, options: [], profile: base, command: [] } as const;
    return { series: [{ variant: sandbox, samples: [], failure }], interrupted };
  };
  const say = (text: string) => said.push(text);
  const result = await writeProfile({ say, unit: alone.unit, host: { ...host, acceleration } }, base, {
    name: 'mine',
    path,
    candidates: CHANGES,
    alone,
    attempt,
  });
  return { result, tried, said: said.join('\n'), profile: existsSync(path) ? await loadProfile(path) : undefined };
}

describe('tuning', () => {
  it('puts the changes that help together, the most worthwhile first, and no other', async (t) => {
    const { result, tried, profile } = await tuned(t);
    assert.deepEqual(tried, [[INITCALL, ARGUMENT]]);
    assert.deepEqual(
      profile?.kernelArguments.map(({ argument, worth }) => [argument, worth]),
      [[ARGUMENT, '20.0 M instructions of 1000.0 M instructions (2.0 %)']],
    );
    assert.deepEqual(
      profile.initcallBlacklist.map(({ initcall, worth }) => [initcall, worth]),
      [[INITCALL, '100.0 M instructions of 1000.0 M instructions (10.0 %)']],
    );
    assert.equal(result.variants.at(-1)?.label, 'all together');
  });

  it('says of a worth that it was measured under KVM', async (t) => {
    const seconds = (value: number) => [1, 1.001, 1.002, 0.999, 1.003].map((one) => one * value);
    const timed = [variant('as it is', seconds(10)), variant(`with ${ARGUMENT}`, seconds(8))];
    const { profile } = await tuned(t, { alone: result('tune', timed), acceleration: 'kvm' });
    assert.deepEqual(
      profile?.kernelArguments.map(({ worth, worthKvm }) => [worth, worthKvm]),
      [['not measured', '2.002 s of 10.010 s (20.0 %)']],
    );
    assert.match(profile.description, / under KVM\.$/);
  });

  it('leaves out what breaks the guest beside others', async (t) => {
    const { tried, said, profile } = await tuned(t, { breaking: [INITCALL, ARGUMENT] });
    assert.deepEqual(tried, [[INITCALL, ARGUMENT], [INITCALL], [INITCALL, ARGUMENT]]);
    assert.match(said, /^not all at once: one after the other$/m);
    assert.deepEqual([profile?.kernelArguments, profile?.initcallBlacklist.length], [[], 1]);
  });

  it('writes no profile where each change breaks the guest', async (t) => {
    const alone = { ...ALONE, comparisons: ALONE.comparisons.filter(({ label }) => label === `with ${ARGUMENT}`) };
    const { result, said, profile } = await tuned(t, { alone, breaking: [ARGUMENT] });
    assert.deepEqual([result, profile], [alone, undefined]);
    assert.match(said, /none of them works: no profile is written$/);
  });

  it('writes no profile that was not tested as a whole', async (t) => {
    const { result, tried, said, profile } = await tuned(t, { interrupted: true });
    assert.equal(tried.length, 1);
    assert.equal(result.interrupted, true);
    assert.match(said, /^interrupted before all of it was seen to work together: no profile is written$/);
    assert.equal(profile, undefined);
  });

  it('writes none when it is interrupted sooner, or nothing helps', async (t) => {
    for (const [alone, why] of [
      [{ ...ALONE, interrupted: true }, 'interrupted: no profile is written'],
      [
        result('tune', [UNSTEADY, ...ALONE.variants.slice(1)], 'instructions'),
        'nothing is worth anything: no profile is written',
      ],
    ] as const) {
      const { result: all, tried, said, profile } = await tuned(t, { alone });
      assert.deepEqual([all, tried, said, profile], [alone, [], why, undefined]);
    }
  });
});
