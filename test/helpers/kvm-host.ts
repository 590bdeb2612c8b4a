/**
 * Runs in a machine that is a KVM host, as its application and its root: `node kvm-host.js`. Sandboxes of its own run
 * there under KVM. It prints one line of JSON for each part, and guest/kvm.test.ts judges them.
 *
 * The repository is mounted at /mnt, and /media has a cache with a snapshot that was made under emulation. All else that
 * is written to is in memory.
 */
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { runBake } from './bake.js';
import { AtTerminal } from './pty.js';
import { type RunResult, runSandbox, startSandbox } from './run.js';

/** How a run ended; see {@link RunResult}. Without a line about emulation, that is empty. */
export type Ended = Required<Omit<RunResult, 'stdout'>>;

/** What each part prints, by its name. */
export interface Parts {
  /** A first start, with the snapshot of emulation in the store: two processors, exit status 7. */
  readonly cold: Ended;
  /** The file of verdicts after it. */
  readonly verdicts: string;
  /** What virt-sandbox-bake printed: as JSON, and of the image as a person reads it. */
  readonly bake: Ended;
  readonly show: Ended;
  /** A clone of the snapshot that answers with its clock, and gets SIGUSR1. */
  readonly clock: Ended & { readonly exchanges: readonly Exchange[] };
  /** A clone at a terminal of 33 rows and 101 columns. */
  readonly terminal: { readonly code: number | null; readonly text: string };
  /** A clone over qemu:///system with a network and a disk, which kills itself; and the first bytes of the disk. */
  readonly system: Ended & { readonly disk: string };
  /** What would be started under emulation, while only snapshots of KVM fit. */
  readonly emulated: Ended;
  readonly end: true;
}

/** The clock of a guest between a question and its reply, in milliseconds since the epoch. */
export interface Exchange {
  readonly asked: number;
  readonly guest: number;
  readonly answered: number;
}

/** Where the cache is for this machine's root, and where the one that it starts with is mounted. */
export const CACHE = '/var/cache/virt-sandbox';
export const GIVEN = '/media';

/** The boot image of the snapshot that was made under emulation, and the slots of that snapshot and of this host's. */
export const IMAGE = 'given';
export const SLOTS: readonly string[] = ['--slots', 'disks=1,networks=1'];

/** Prints what differs between clones, and what of the host's processor a guest sees. */
const FACTS = `for name in uuid boot_id; do echo "$name $(cat /proc/sys/kernel/random/$name)"; done
echo "urandom $(od -An -N16 -tx8 /dev/urandom)"
echo "clocksource $(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)"
echo "processors $(nproc)"
echo "virtualization $(grep -cwE 'svm|vmx' /proc/cpuinfo)"`;

/** Its clock comes from the shell itself: a program that starts takes long here. */
const CLOCK = `trap 'echo caught; exit 5' USR1
${FACTS}
while read -r line; do echo "clock $EPOCHREALTIME"; done`;

const DEVICES = `${FACTS}
ip -4 -o addr show dev eth0 | grep -o 'inet [0-9.]*'
head -c 5 /dev/disk/by-tag/data; echo
printf WROTE | dd of=/dev/disk/by-tag/data conv=notrunc status=none
kill -KILL $$`;

const EMBEDDED = 'qemu:///embed';
const SYSTEM = 'qemu:///system';
const DISK = '/run/disk';

/** Far longer than any start takes here. In seconds, and in milliseconds for the whole run. */
const BOOT_SECONDS = '300';
const RUN_MS = 400_000;

function tell<Name extends keyof Parts>(name: Name, value: Parts[Name]): void {
  process.stderr.write(`${process.uptime().toFixed(1)} s: ${name}\n`);
  process.stdout.write(`${JSON.stringify({ [name]: value })}\n`);
}

function ended({ code, signal, out, stderr, fallback = '', late }: RunResult): Ended {
  return { code, signal, out, stderr, fallback, late };
}

const words = (uri: string, args: readonly string[]) => ['-c', uri, '--boot-timeout', BOOT_SECONDS, ...args];

async function run(uri: string, ...args: readonly string[]): Promise<Ended> {
  return ended(await runSandbox(words(uri, args), { timeout: RUN_MS }));
}

function prepare(): void {
  // The emulated processor is AMD's.
  execFileSync('modprobe', ['kvm_amd']);
  chmodSync('/dev/kvm', 0o666);
  for (const name of ['/run/libvirt', '/var/lib/libvirt/qemu', '/var/log/libvirt/qemu'])
    mkdirSync(name, { recursive: true });
  execFileSync('cp', ['-a', `${GIVEN}/virt-sandbox`, '/var/cache']);
  writeFileSync(DISK, Buffer.alloc(1 << 20, 'disk '));
}

/** libvirtd and virtlogd, which end with this machine. What they leave behind becomes a child of tini, which reaps it. */
async function startLibvirt(): Promise<void> {
  // libvirtd would take long to find out again what QEMU can do.
  const known = `${CACHE}/libvirt/qemu/capabilities`;
  cpSync(known, '/var/cache/libvirt/qemu/capabilities', { recursive: true });
  const daemon = (...command: string[]) => spawn('tini', ['-s', '--', ...command], { stdio: 'ignore' }).unref();
  daemon('virtlogd');
  daemon('libvirtd');
  while (!(await answers('/run/libvirt/virtlogd-sock')) || !(await answers('/run/libvirt/libvirt-sock')))
    await sleep(100);
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path, () => resolve(true)).on('error', () => resolve(false));
    socket.on('connect', () => socket.destroy());
  });
}

async function clock(): Promise<Parts['clock']> {
  const args = words(EMBEDDED, ['-d', '--require-kvm', '--', 'bash', '-c', CLOCK]);
  const running = startSandbox(args, { input: 'open', timeout: RUN_MS });
  await running.until(/^virtualization /m);
  const exchanges: Exchange[] = [];
  while (exchanges.length < 5) {
    const asked = Date.now();
    running.child.stdin?.write('\n');
    const [, text = ''] = await running.until(
      new RegExp(`(?:clock [\\d.]+\\n[^]*){${exchanges.length}}clock ([\\d.]+)\\n`),
    );
    exchanges.push({ asked, guest: Number(text) * 1000, answered: Date.now() });
  }
  running.child.kill('SIGUSR1');
  return { ...ended(await running.result), exchanges };
}

async function terminal(): Promise<Parts['terminal']> {
  const script = `test -t 0 && echo size $(stty size)\n${FACTS}\nexit 4`;
  const shown = new AtTerminal(words(EMBEDDED, ['-v', '--', 'sh', '-c', script]), { rows: 33, columns: 101 });
  await shown.until(/^virtualization \d+/m, RUN_MS);
  const { code } = await shown.exited();
  const { text } = shown;
  await shown.close();
  return { code, text };
}

async function system(): Promise<Parts['system']> {
  const options = ['-v', '-N', 'dhcp', '--disk', `file:data=${DISK}`];
  const result = await run(SYSTEM, ...options, '--', 'sh', '-c', DEVICES);
  return { ...result, disk: readFileSync(DISK, 'latin1').slice(0, 10) };
}

async function main(): Promise<void> {
  prepare();
  tell('cold', await run(EMBEDDED, '-d', '--image', IMAGE, '--vcpus', '2', '--', 'sh', '-c', `${FACTS}\nexit 7`));
  tell('verdicts', readFileSync(`${CACHE}/kvm.json`, 'utf8'));
  const bake = (...args: readonly string[]) => runBake('/var/cache', args, { timeout: RUN_MS }).then(ended);
  const daemons = startLibvirt();
  tell('bake', await bake('create', '--warm', '-c', EMBEDDED, ...SLOTS, '--name', 'own', '--json'));
  // Two at a time, for this machine has two processors.
  await Promise.all([clock().then((part) => tell('clock', part)), terminal().then((part) => tell('terminal', part))]);
  await daemons;
  const emulated = ['-v', '--accel', 'tcg', '--image', 'own', '--dry-run', '--', 'true'];
  await Promise.all([
    system().then((part) => tell('system', part)),
    run(EMBEDDED, ...emulated).then((part) => tell('emulated', part)),
  ]);
  tell('show', await bake('show', 'own'));
  tell('end', true);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
