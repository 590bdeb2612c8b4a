// Writes into profiles/ what each thing is worth: node scripts/profile-worths.mjs ablate.json ablate-kvm.json
//
// The files are results of `virt-sandbox-bench ablate --profile default`, the second one under KVM: `nested -- ablate`.
// docs/boot-time.md is to be made of the same: a test compares them.
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import process from 'node:process';

const [path, kvmPath] = process.argv.slice(2);
const { kind, unit, variants, comparisons } = JSON.parse(readFileSync(path ?? '/dev/null', 'utf8') || '{}');
const kvm = JSON.parse(readFileSync(kvmPath ?? '/dev/null', 'utf8') || '{}');
const isWhatIsWanted =
  kind === 'ablate' &&
  unit === 'instructions' &&
  variants[0]?.profile === 'default' &&
  kvm.kind === 'ablate' &&
  kvm.host?.acceleration === 'kvm' &&
  kvm.variants[0]?.profile === 'default';
if (!isWhatIsWanted) {
  process.stderr.write(
    'usage: node scripts/profile-worths.mjs ABLATE-FROM-DEFAULT.json ABLATE-FROM-DEFAULT-UNDER-KVM.json\n',
  );
  process.exit(2);
}
const whole = variants[0].summary.median;
const base = JSON.parse(readFileSync('profiles/default.json', 'utf8'));
const inBase = new Set([...base.kernelArguments, ...base.initcallBlacklist].map(nameOf));

for (const file of readdirSync('profiles')) {
  const profile = JSON.parse(readFileSync(`profiles/${file}`, 'utf8'));
  for (const one of [...(profile.kernelArguments ?? []), ...(profile.initcallBlacklist ?? [])]) {
    const { risk } = one;
    // Stands last.
    delete one.risk;
    Object.assign(one, { worth: worthOf(one), worthKvm: worthUnderKvm(one), risk });
  }
  writeFileSync(`profiles/${file}`, `${JSON.stringify(profile, null, 2)}\n`);
}
execFileSync('npx', ['biome', 'check', '--write', 'profiles'], { stdio: 'inherit' });

function nameOf(one) {
  return one.argument ?? one.initcall;
}

function changeOf(one, here) {
  const change = one.initcall === undefined ? ['with', 'without'] : ['skipping', 'without skipping'];
  return `${change[here ? 1 : 0]} ${nameOf(one)}`;
}

/** The share of the time, where the measurement tells it from none, and the exits that QEMU handles. */
function worthUnderKvm(one) {
  const here = inBase.has(nameOf(one));
  const wanted = changeOf(one, here);
  const found = kvm.comparisons.find(({ label: measured }) => measured === wanted);
  if (found === undefined) throw new Error(`${kvmPath} has no “${wanted}”`);
  const exitsOf = ({ exits }) => exits.io_exits + exits.mmio_exits;
  const whole = exitsOf(kvm.variants[0]);
  const exits = Math.abs(exitsOf(kvm.variants.find(({ label }) => label === wanted)) - whole);
  const time = found.verdict === 'undecided' ? '' : `; ${(Math.abs(found.ratio - 1) * 100).toFixed(1)} % of the time`;
  return `${Math.round(exits)} exits to QEMU ${here ? 'beside' : 'of'} ${Math.round(whole)}${time}`;
}

/** What stands behind a semicolon was not measured, and stays. */
function worthOf(one) {
  const here = inBase.has(nameOf(one));
  const wanted = changeOf(one, here);
  const found = comparisons.find(({ label: measured }) => measured === wanted);
  if (found === undefined) throw new Error(`${path} has no “${wanted}”`);
  const [, ...more] = one.worth.split(';');
  const share = Math.abs(found.ratio - 1);
  const percent = `${(share * 100).toFixed(share < 0.01 ? 2 : 1)} %`;
  const amount = `${((share * whole) / 1e6).toFixed(1)} M instructions ${here ? 'beside' : 'of'} ${(whole / 1e6).toFixed(1)} M`;
  return [`${amount} (${percent})`, ...more].join(';');
}
