// Writes into profiles/ what each thing is worth: node scripts/profile-worths.mjs ablate.json
//
// The file is a result of `virt-sandbox-bench ablate --profile default`, and docs/boot-time.md is to be made of the
// same: a test compares them.
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import process from 'node:process';

const [path] = process.argv.slice(2);
const { kind, unit, variants, comparisons } = JSON.parse(readFileSync(path ?? '/dev/null', 'utf8') || '{}');
if (kind !== 'ablate' || unit !== 'instructions' || variants[0]?.profile !== 'default') {
  process.stderr.write('usage: node scripts/profile-worths.mjs RESULT-OF-ABLATE-FROM-DEFAULT.json\n');
  process.exit(2);
}
const whole = variants[0].summary.median;
const base = JSON.parse(readFileSync('profiles/default.json', 'utf8'));
const inBase = new Set([...base.kernelArguments, ...base.initcallBlacklist].map(nameOf));

for (const file of readdirSync('profiles')) {
  const profile = JSON.parse(readFileSync(`profiles/${file}`, 'utf8'));
  for (const one of [...(profile.kernelArguments ?? []), ...(profile.initcallBlacklist ?? [])])
    one.worth = worthOf(one);
  writeFileSync(`profiles/${file}`, `${JSON.stringify(profile, null, 2)}\n`);
}
execFileSync('npx', ['biome', 'check', '--write', 'profiles'], { stdio: 'inherit' });

function nameOf(one) {
  return one.argument ?? one.initcall;
}

/** What stands behind a semicolon was not measured, and stays. */
function worthOf(one) {
  const here = inBase.has(nameOf(one));
  const change = one.initcall === undefined ? ['with', 'without'] : ['skipping', 'without skipping'];
  const wanted = `${change[here ? 1 : 0]} ${nameOf(one)}`;
  const found = comparisons.find(({ label: measured }) => measured === wanted);
  if (found === undefined) throw new Error(`${path} has no “${wanted}”`);
  const [, ...more] = one.worth.split(';');
  const share = Math.abs(found.ratio - 1);
  const percent = `${(share * 100).toFixed(share < 0.01 ? 2 : 1)} %`;
  const amount = `${((share * whole) / 1e6).toFixed(1)} M instructions ${here ? 'beside' : 'of'} ${(whole / 1e6).toFixed(1)} M`;
  return [`${amount} (${percent})`, ...more].join(';');
}
