/**
 * Other programs that do the same job, measured in the same session and on the same kernel. Programs that are not
 * installed are named and left out.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { findInPath } from '../../util/programs.js';
import { makeResult, type Result, variantResult } from '../result/result.js';
import { failureLine, settingLines, table } from '../result/text.js';
import { COLD } from '../run/baseline.js';
import { findVirtme, imageFacts, lxcThrough, sandboxArgv, virtmeArgv } from '../run/commands.js';
import { hostText } from '../run/host.js';
import { amount, measureInTurns } from '../run/series.js';
import type { Session } from '../run/session.js';
import { type ProgramVariant, profileOptions, type SandboxVariant, type Variant } from '../run/variant.js';
import type { Repetitions } from './ablate.js';
import { baselineVariant } from './measure.js';

/** Marks the label of a program that only builds an image; all others start a guest. */
const IMAGE = 'image: ';

export interface PeerOptions extends Repetitions {
  /** Measures only the programs whose label this matches, beside the sandbox and its image. */
  readonly only?: RegExp | undefined;
}

export async function measurePeers(
  session: Session,
  wanted: SandboxVariant,
  { only, ...repetitions }: PeerOptions,
): Promise<Result> {
  const [image, ...builders] = imageBuilders(session);
  // A warm start is a row of its own, so this one boots even where a snapshot fits.
  const sandbox = { ...wanted, options: [...COLD, ...wanted.options] };
  const others = [...(await warm(session, wanted)), ...(await guests(session, sandbox)), ...builders];
  const variants: Peer[] = [sandbox, image, ...others.filter(({ label }) => only?.test(label) ?? true)];
  const missing = variants.filter((one) => 'missing' in one);
  for (const { label, missing: why } of missing) session.say(`${label} is left out: ${why}`);
  const present = variants.filter((one): one is Variant => !('missing' in one));
  const measured = await measureInTurns(present, { ...session, ...repetitions });
  const results = measured.series.map((one) => variantResult(one));
  const left = missing.map(({ label, missing: why }) => ({
    ...{ label, options: [], values: [], summary: null, parts: {} },
    failure: `not measured: ${why}`,
  }));
  return makeResult('peers', session, measured, [...results, ...left]);
}

interface Missing {
  readonly label: string;
  readonly missing: string;
}

type Peer = Variant | Missing;

/** A sandbox that starts warm, and a bare QEMU that restores the same snapshot. Missing where no snapshot is baked. */
async function warm(session: Session, sandbox: SandboxVariant): Promise<Peer[]> {
  const label = `${sandbox.label}, warm`;
  const variant = { ...sandbox, label, options: ['--boot', 'warm', ...sandbox.options] };
  const { program, scratch } = session;
  const facts = imageFacts(program, [...sandbox.options, ...profileOptions(sandbox.profile, scratch)]);
  if (facts.boot !== 'warm') return [{ label, missing: 'no snapshot is baked (virt-sandbox-bake create --warm)' }];
  return [variant, ...(await baselineVariant(session, variant))];
}

async function guests(session: Session, sandbox: SandboxVariant): Promise<Peer[]> {
  const { image, program, scratch } = session;
  const virtme = findVirtme(image.kernelVersion);
  const vng: Peer =
    'missing' in virtme
      ? { label: 'virtme-ng', missing: virtme.missing }
      : peer('virtme-ng', virtmeArgv(virtme, image.acceleration, '/bin/true'));
  const over = (uri: string) => {
    const words = [...COLD, '-c', uri, ...profileOptions(sandbox.profile, scratch), '--', ...sandbox.command];
    return peer(`virt-sandbox -c ${uri}`, sandboxArgv(program, words));
  };
  return [
    ...(await baselineVariant(session, sandbox)),
    over('qemu:///embed'),
    answersLxc()
      ? over('lxc:///')
      : {
          label: 'virt-sandbox -c lxc:///',
          missing: 'no libvirtd answers at lxc:/// (node scripts/with-libvirt.mjs COMMAND starts one)',
        },
    vng,
    libguestfs(session),
  ];
}

/** Whether a libvirtd for containers answers; it may run in namespaces of its own. */
function answersLxc(): boolean {
  const [program = '', ...words] = [...lxcThrough(), 'virsh', '-q', '-c', 'lxc:///', 'list'];
  return spawnSync(program, words, { stdio: 'ignore', timeout: 10_000 }).status === 0;
}

/** Where distributions keep the parts of libguestfs's appliance. */
const APPLIANCES = ['/usr/lib/x86_64-linux-gnu/guestfs', '/usr/lib64/guestfs', '/usr/lib/guestfs'];

/** libguestfs builds its appliance once, during the warm-up. */
function libguestfs({ image, scratch }: Session): Peer {
  const label = 'libguestfs appliance';
  const program = findInPath('guestfish');
  const appliance = APPLIANCES.map((path) => join(path, 'supermin.d')).find((path) => existsSync(path));
  if (program === undefined || appliance === undefined)
    return { label, missing: 'guestfish is not installed (scripts/setup bench)' };
  return peer(label, [program, '-a', '/dev/null', 'run'], {
    LIBGUESTFS_BACKEND: 'direct',
    // Both are compared under the same acceleration, whatever libguestfs would choose.
    LIBGUESTFS_BACKEND_SETTINGS: image.acceleration === 'kvm' ? 'force_kvm' : 'force_tcg',
    LIBGUESTFS_PATH: withDev(appliance, scratch),
    SUPERMIN_KERNEL: `/boot/vmlinuz-${image.kernelVersion}`,
    SUPERMIN_MODULES: `/lib/modules/${image.kernelVersion}`,
  });
}

/**
 * The appliance with /dev added. libguestfs copies only files that belong to a package of this host, and where the base
 * system was not installed from packages, none of them owns /dev.
 */
function withDev(appliance: string, scratch: string): string {
  const path = join(scratch, 'guestfs');
  const parts = join(path, 'supermin.d');
  mkdirSync(join(path, 'root/dev'), { recursive: true });
  cpSync(appliance, parts, { recursive: true, preserveTimestamps: true });
  execFileSync('tar', ['-C', join(path, 'root'), '-czf', join(parts, 'dev.tar.gz'), './dev']);
  return path;
}

/** Image builders, this project's first: each builds an image for the same kernel into a file of its own. */
function imageBuilders(session: Session): [Peer, ...Peer[]] {
  const { image, program, scratch } = session;
  const version = image.kernelVersion ?? release();
  const into = (name: string) => join(scratch, `${name}.img`);
  const store = mkdtempSync(join(scratch, 'store-'));
  const own = ['sh', '-c', 'rm -rf "$1"/* && shift && exec "$@"', 'sh', store] as const;
  const builder = (name: string, ...args: string[]): Peer => {
    const path = findInPath(name);
    return path === undefined
      ? { label: `${IMAGE}${name}`, missing: `${name} is not installed` }
      : peer(`${IMAGE}${name}`, [path, ...args]);
  };
  return [
    peer(`${IMAGE}virt-sandbox`, [...own, program, '--dry-run', '--accel', 'tcg', '-c', image.uri, '--', '/bin/true'], {
      XDG_CACHE_HOME: store,
    }),
    builder('mkinitramfs', '-o', into('mkinitramfs'), version),
    builder('dracut', '--force', '--quiet', into('dracut'), version),
    builder('mktirfs', '-o', into('mktirfs'), version),
    builder('virtme-mkinitramfs', '--mod-kversion', version),
  ];
}

function peer(
  label: string,
  argv: readonly [string, ...string[]],
  environment?: Readonly<Record<string, string>>,
): ProgramVariant {
  return { kind: 'program', label, argv, ...(environment ? { environment } : {}) };
}

/** Two tables: other guests against virt-sandbox, and other image builders against its own. */
export function peersText(result: Result): string {
  const { variants, host, interrupted } = result;
  const part = (isImage: boolean) => {
    const own = variants.filter(({ label }) => label.startsWith(IMAGE) === isImage);
    const base = own[0]?.summary?.median;
    return own.flatMap(({ label, summary }) => {
      if (summary === null) return [];
      const { median, min, max, runs } = summary;
      const figures = `${amount(median, 's')} (${min.toFixed(2)}–${max.toFixed(2)}, n=${runs})`;
      const name = isImage ? label.slice(IMAGE.length) : label;
      return [[name, figures, base === undefined ? '' : `${(median / base).toFixed(2)} ×`]];
    });
  };
  const failed = variants.flatMap(({ label, failure }) =>
    failure === undefined ? [] : [`${label}: ${failureLine(failure)}`],
  );
  return [
    `${hostText(host)}${interrupted ? '; interrupted, so not everything was measured' : ''}`,
    '',
    ...settingLines(host),
    ...table([['a guest that runs a command, whole process', 'median', ''], ...part(false)]),
    '',
    ...table([['building an image, whole process', 'median', ''], ...part(true)]),
    '',
    ...failed,
  ].join('\n');
}
