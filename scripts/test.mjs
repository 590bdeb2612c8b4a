// Runs the tests: node scripts/test.mjs [--quick] [NAME…]
//
// A name is that of a folder of tests, or a part of a file's path. --quick leaves out what needs a machine, a daemon or
// a program with sanitizers; the tests of one folder that need none of these share a process, and each other test file
// has its own. TEST_THOROUGH=1 runs all files, and kills programs at each of their steps. This program starts and ends
// what tests share: libvirtd for qemu:///system if none answers, another one for lxc:///, and a store of boot images.
import { execFile, spawnSync } from 'node:child_process';
import { setMaxListeners } from 'node:events';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import process from 'node:process';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { runWhereLibvirtStarts, startSystemLibvirt } from './test-libvirtd.mjs';
import { startLxcLibvirt } from './test-lxc.mjs';
import { runAgain } from './test-namespace.mjs';
import { isQuick, needsOf, selected } from './test-needs.mjs';
import { testTimes } from './test-times.mjs';

const repository = fileURLToPath(new URL('..', import.meta.url));
if (process.geteuid() === 0 && !isReachable()) process.exit(await runWhereReachable());

const compiled = fileURLToPath(new URL('../build/test', import.meta.url));
const isThorough = process.env.TEST_THOROUGH === '1';
/** For one file, in milliseconds: whatever hangs must not take the others with it. */
const FILE_TIMEOUT = (isThorough ? 90 : 15) * 60_000;

const quick = process.argv[2] === '--quick';
const only = process.argv.slice(quick ? 3 : 2);
/** Files at a time: one more than the processors of CI, since tests often wait for programs that they start. */
const CONCURRENCY = Number(process.env.JOBS || 3);
const { timeOf, record } = testTimes();
const all = readdirSync(compiled, { recursive: true }).filter((name) => name.endsWith('.test.js'));
const names = selected(all, only, isThorough)
  .filter((name) => !quick || isQuick(name))
  // The longest first, so that the end is no wait for one of them.
  .sort((a, b) => needsOf(b).order - needsOf(a).order || timeOf(b) - timeOf(a) || (a < b ? -1 : 1));
if (names.length === 0)
  fail(`no test file in ${relative('.', compiled)} has ${only.join(' or ') || '.test.js'} in its name`);

const libvirt = names.some((name) => needsOf(name).libvirt);
const elsewhere = libvirt ? await runWhereLibvirtStarts() : undefined;
if (elsewhere !== undefined) process.exit(elsewhere);

// What the person who runs the tests has baked would change how sandboxes start.
const store = mkdtempSync(join(tmpdir(), 'vs-store-'));
chmodSync(store, 0o755);
process.env.XDG_CACHE_HOME = store;
const folders = mkdtempSync(join(tmpdir(), 'vs-folders-'));
/** Where tests mount, which machines show: not below /tmp. See test/helpers/mount-point.ts. */
const mounts = mkdtempSync('/var/tmp/vs-mounts-');
chmodSync(mounts, 0o755);
process.env.VIRT_SANDBOX_TEST_MOUNTS = mounts;

/** Ends what a snapshot was baked for. */
const endings = [];
const ending = new AbortController();
// One listener for each file.
setMaxListeners(0, ending.signal);
const starting = Promise.allSettled(libvirt ? [startSystemLibvirt(ending.signal), startLxcLibvirt(ending.signal)] : []);
let baking = Promise.resolve();
const cleanUp = async () => {
  // What is being made has to be there before it can be removed.
  const [starts] = await Promise.all([starting, baking.catch(() => {})]);
  const daemons = starts.flatMap((start) => start.value ?? []);
  await Promise.all([...daemons.map((daemon) => daemon.stop()), ...endings.map((end) => end())]);
  unmountBelow(mounts);
  for (const made of [store, folders, mounts]) rmSync(made, { recursive: true, force: true });
};
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.once(signal, async () => {
    // Ends the test files that run, and what is being prepared.
    ending.abort();
    await cleanUp().finally(() => process.exit(1));
  });
}

const starts = await starting;
await unlessEnding();
for (const { reason } of starts.filter(({ status }) => status === 'rejected')) {
  await cleanUp();
  fail(reason.message);
}

baking = prepareSnapshots();
await baking;
await unlessEnding();

const files = [
  ...names.filter((name) => !isQuick(name)).map((name) => ({ file: join(compiled, name), order: needsOf(name).order })),
  ...together(names.filter(isQuick), folders),
]
  .sort((a, b) => b.order - a.order)
  .map(({ file }) => file);
const times = {};
let ran = 0;
let failed = 0;
const results = run({ files, concurrency: CONCURRENCY, timeout: FILE_TIMEOUT, signal: ending.signal });
results.on('test:pass', (test) => {
  count(test);
  if (test.skip === undefined && test.details.type !== 'suite') ran += 1;
});
results.on('test:fail', (test) => {
  count(test);
  if (test.todo === undefined) failed += 1;
});
results.compose(new spec()).pipe(process.stdout);
await new Promise((resolve) => results.once('end', resolve));
await cleanUp();
record(times);
if (failed > 0) process.exitCode = 1;
else if (ran === 0) fail('no test ran');

/** A test file that was killed has unmounted nothing. */
function unmountBelow(directory) {
  const points = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '');
  const left = points.filter((point) => point.startsWith(`${directory}/`)).reverse();
  if (left.length > 0) spawnSync('umount', ['--lazy', ...left], { stdio: 'inherit' });
}

/** Waits for the end of this process if a signal has told it to. */
function unlessEnding() {
  return ending.signal.aborted ? new Promise(() => {}) : undefined;
}

async function prepareSnapshots() {
  if (names.some((name) => needsOf(name).snapshots)) await findAcceleration();
  if (!ending.signal.aborted) await bakeSnapshots();
}

/**
 * Finds out what machines run under in the tests, KVM where it runs guests, and says so. The store that the tests share
 * knows the answer then, and test/helpers/acceleration.ts has it for tests with a store of their own.
 */
async function findAcceleration() {
  const command = ['-v', '--dry-run', '--json', '--boot', 'cold', '-c', 'qemu:///embed', '--', 'true'];
  const options = { signal: ending.signal };
  try {
    const { stdout, stderr } = await promisify(execFile)(join(repository, 'bin/virt-sandbox'), command, options);
    const why = /no KVM here \((.*)\), so/.exec(stderr)?.[1];
    const { acceleration } = JSON.parse(stdout);
    process.env.TEST_ACCELERATION = acceleration;
    const told = acceleration === 'kvm' ? 'run under KVM, where a guest has booted' : `are emulated: no KVM (${why})`;
    process.stderr.write(`test: machines ${told}\n`);
  } catch (error) {
    process.stderr.write(`test: it is not known what machines run under: ${error.stderr ?? error}\n`);
  }
}

/**
 * Bakes snapshots for the store that the tests share.
 *
 * - One of a usual machine, and one of a machine whose root is an image, so that a test which is not about booting
 *   starts in a quarter of the time. A test of a cold boot says --boot cold. With TEST_COLD=1, as `make test-profiles`
 *   has it, all boot cold. A test that changes a snapshot copies it: test/helpers/snapshots.ts.
 * - The same of an ordinary user, for the users of test/helpers/ordinary-user.ts: a store belongs to its user.
 * - One with the common init in the guest, for the files that test those: test/helpers/guest-init.ts.
 *
 * If one cannot be baked, this says why; then guests boot cold, or tests bake for themselves.
 */
async function bakeSnapshots() {
  const bake = async (command, options = {}) => {
    try {
      const { stdout } = await promisify(execFile)(command[0], command.slice(1), {
        signal: ending.signal,
        ...options,
      });
      return JSON.parse(stdout);
    } catch (error) {
      process.stderr.write(`test: no shared snapshot: ${error.stderr ?? error}\n`);
      return undefined;
    }
  };
  const create = ['create', '--warm', '--json'];
  const wants = (what) => names.some((name) => needsOf(name)[what]);
  const own = (...args) => bake([join(repository, 'bin/virt-sandbox-bake'), ...create, ...args]);
  const usual = async () => {
    if (process.env.TEST_COLD) return;
    const { USUAL, USUAL_OF_IMAGES } = await helper('usual-snapshot');
    const baked = wants('snapshots') && (await own(...USUAL));
    if (baked) process.env.VIRT_SANDBOX_TEST_SNAPSHOT = JSON.stringify(baked);
    if (wants('snapshots')) await own(...USUAL_OF_IMAGES);
    if (!wants('user')) return;
    // After root's, which has found out about this host.
    const { OrdinaryUser, unlessOrdinaryUser } = await helper('ordinary-user');
    if (unlessOrdinaryUser() !== false) return;
    const user = await OrdinaryUser.create();
    endings.push(() => user.end());
    const { program, through, env, cwd } = user.options;
    const command = [...through, `${program}-bake`, ...create, '-c', 'qemu:///embed'];
    const ofUser = (...args) => bake([...command, ...args], { env: { ...process.env, ...env }, cwd });
    if (await ofUser(...USUAL)) process.env.VIRT_SANDBOX_TEST_USER_STORE = user.store;
    await ofUser(...USUAL_OF_IMAGES);
  };
  const [, inside] = await Promise.all([
    usual(),
    wants('guestInit') && own(...(await helper('guest-init')).GUEST_INIT),
  ]);
  if (inside) process.env.VIRT_SANDBOX_TEST_GUEST_INIT = inside.image;
}

/** What the tests use, too. */
function helper(name) {
  return import(pathToFileURL(join(compiled, `helpers/${name}.js`)));
}

/**
 * Files that import all tests of a folder. To start Node.js and load a test takes a third of a second, and more than a
 * hundred files have tests that are over sooner.
 * @param {string} directory where to write them
 */
function together(names, directory) {
  const folders = new Map();
  for (const name of names) folders.set(dirname(name), [...(folders.get(dirname(name)) ?? []), name]);
  return [...folders].map(([folder, members]) => {
    const file = join(directory, `${folder.replaceAll('/', '-')}.mjs`);
    writeFileSync(
      file,
      members.map((name) => `import ${JSON.stringify(pathToFileURL(join(compiled, name)))};\n`).join(''),
    );
    return { file, order: Math.max(...members.map((name) => needsOf(name).order)) };
  });
}

/** True when other users, whom some tests become, can enter this clone. */
function isReachable() {
  const test = ['test', '-r', join(repository, 'package.json')];
  return spawnSync('setpriv', ['--reuid=65534', '--regid=65534', '--clear-groups', '--', ...test]).status === 0;
}

/** Runs this program again where the clone is mounted at a path that everybody can enter, for this run alone. */
async function runWhereReachable() {
  const path = mkdtempSync(join(tmpdir(), 'vs-clone-'));
  chmodSync(path, 0o755);
  try {
    const mount = 'mount --bind "$1" "$2"; cd "$2"; shift 2';
    return await runAgain(join(path, 'scripts/test.mjs'), mount, [repository, path]);
  } finally {
    rmdirSync(path);
  }
}

/** Adds a result to what is kept of its file. */
function count({ file, nesting, details }) {
  const name = relative(compiled, file ?? compiled);
  if (name === '') return;
  times[name] ??= { tests: 0, ms: 0 };
  if (details.type !== 'suite') times[name].tests += 1;
  if (nesting === 0) times[name].ms += Math.round(details.duration_ms);
}

function fail(message) {
  process.stderr.write(`test: ${message}\n`);
  process.exit(1);
}
