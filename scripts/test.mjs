// Runs the tests: node scripts/test.mjs [PART-OF-A-FILE-NAME…]
//
// Test files run as processes of their own, two at a time. What they share is started here and ended here: libvirtd for qemu:///system, where
// none answers, and one for lxc:///, and a store of their own.
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, rmdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import process from 'node:process';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { fileURLToPath } from 'node:url';
import { startSystemLibvirt } from './test-libvirtd.mjs';
import { startLxcLibvirt } from './test-lxc.mjs';

const repository = fileURLToPath(new URL('..', import.meta.url));
if (process.geteuid() === 0 && !isReachable()) process.exit(runWhereReachable());

const compiled = fileURLToPath(new URL('../build/test', import.meta.url));
/** A guest keeps one processor busy. */
const CONCURRENCY = 2;
/** For one file, in milliseconds: whatever hangs must not take the others with it. */
const FILE_TIMEOUT = 15 * 60_000;

const only = process.argv.slice(2);
const files = readdirSync(compiled, { recursive: true })
  .filter((name) => name.endsWith('.test.js') && (only.length === 0 || only.some((part) => name.includes(part))))
  // Those that take long first, so that the end is not a wait for one of them.
  .sort((a, b) => weight(b) - weight(a) || (a < b ? -1 : 1))
  .map((name) => join(compiled, name));
if (files.length === 0)
  fail(`no test file in ${relative('.', compiled)} has ${only.join(' or ') || '.test.js'} in its name`);

// What the person who runs the tests has baked would change how sandboxes start.
const store = mkdtempSync(join(tmpdir(), 'vs-store-'));
chmodSync(store, 0o755);
process.env.XDG_CACHE_HOME = store;

const guests = files.some((name) => weight(relative(compiled, name)) > 0);
const starts = await Promise.allSettled(guests ? [startSystemLibvirt(), startLxcLibvirt()] : []);
const daemons = starts.flatMap((start) => start.value ?? []);
const cleanUp = async () => {
  await Promise.all(daemons.map((daemon) => daemon.stop()));
  rmSync(store, { recursive: true, force: true });
};
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.once(signal, async () => {
    await cleanUp();
    process.exit(1);
  });
}

for (const { reason } of starts.filter(({ status }) => status === 'rejected')) {
  await cleanUp();
  fail(reason.message);
}

let ran = 0;
let failed = 0;
const results = run({ files, concurrency: CONCURRENCY, timeout: FILE_TIMEOUT });
results.on('test:pass', ({ skip, details }) => {
  if (skip === undefined && details.type !== 'suite') ran += 1;
});
results.on('test:fail', ({ todo }) => {
  if (todo === undefined) failed += 1;
});
results.compose(new spec()).pipe(process.stdout);
await new Promise((resolve) => results.once('end', resolve));
await cleanUp();
if (failed > 0) process.exitCode = 1;
else if (ran === 0) fail('no test ran');

/** True when other users, whom some tests become, can enter this clone. */
function isReachable() {
  const test = ['test', '-r', join(repository, 'package.json')];
  return spawnSync('setpriv', ['--reuid=65534', '--regid=65534', '--clear-groups', '--', ...test]).status === 0;
}

/** Runs this program again where the clone is mounted at a place that everybody can enter, for this run alone. */
function runWhereReachable() {
  const place = mkdtempSync(join(tmpdir(), 'vs-clone-'));
  chmodSync(place, 0o755);
  const script = 'mount --bind "$1" "$2"; cd "$2"; shift 2; exec "$@"';
  const again = [process.execPath, join(place, 'scripts/test.mjs'), ...process.argv.slice(2)];
  const unshare = ['--mount', '--propagation', 'slave', 'sh', '-ec', script, 'sh', repository, place, ...again];
  try {
    return spawnSync('unshare', unshare, { stdio: 'inherit' }).status ?? 1;
  } finally {
    rmdirSync(place);
  }
}

/** Guests take seconds, containers and all else far less. */
function weight(name) {
  return /^(guest|hostile)\//.test(name) ? 2 : name.startsWith('lxc/') ? 1 : 0;
}

function fail(message) {
  process.stderr.write(`test: ${message}\n`);
  process.exit(1);
}
