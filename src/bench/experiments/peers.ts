/** Other programs that do the like, in the same session and on the same kernel. What is not installed is named and left out. */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { findInPath } from '../../util/programs.js';
import { makeResult, type Result, variantResult } from '../result/result.js';
import { failureLine, table } from '../result/text.js';
import { COLD } from '../run/baseline.js';
import { findVirtme, imageFacts, lxcThrough, sandboxArgv, virtmeArgv } from '../run/commands.js';
import { hostText } from '../run/host.js';
import { amount, measureInTurns } from '../run/series.js';
import type { Session } from '../run/session.js';
import { type ProgramVariant, profileOptions, type SandboxVariant, type Variant } from '../run/variant.js';
import type { Repetitions } from './ablate.js';
import { baselineVariant } from './measure.js';

/** What starts a guest; `image: ` in a label marks what only builds an image. */
const IMAGE = 'image: ';

export async function measurePeers(
  session: Session,
  wanted: SandboxVariant,
  repetitions: Repetitions,
): Promise<Result> {
  const builders = imageBuilders(session);
  // Whatever saved machines there are: they are a row of their own.
  const sandbox = { ...wanted, options: [...COLD, ...wanted.options] };
  const variants: Peer[] = [
    sandbox,
    ...(await warm(session, wanted)),
    ...(await guests(session, sandbox)),
    ...builders,
  ];
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

/** A sandbox that goes on from a saved machine, where one is baked, and a bare QEMU that does. */
async function warm(session: Session, sandbox: SandboxVariant): Promise<Peer[]> {
  const label = `${sandbox.label}, warm`;
  const variant = { ...sandbox, label, options: ['--boot', 'warm', ...sandbox.options] };
  const { program, scratch } = session;
  const facts = imageFacts(program, [...sandbox.options, ...profileOptions(sandbox.profile, scratch)]);
  if (facts.boot !== 'warm') return [{ label, missing: 'there is no saved machine (virt-sandbox-bake create --warm)' }];
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

/** It may be in namespaces of its own. */
function answersLxc(): boolean {
  const [program = '', ...words] = [...lxcThrough(), 'virsh', '-q', '-c', 'lxc:///', 'list'];
  return spawnSync(program, words, { stdio: 'ignore', timeout: 10_000 }).status === 0;
}

/** Where distributions have what libguestfs makes its appliance of. */
const APPLIANCES = ['/usr/lib/x86_64-linux-gnu/guestfs', '/usr/lib64/guestfs', '/usr/lib/guestfs'];

/** Its appliance is built once, before the warm-up is over. */
function libguestfs({ image, scratch }: Session): Peer {
  const label = 'libguestfs appliance';
  const program = findInPath('guestfish');
  const appliance = APPLIANCES.map((path) => join(path, 'supermin.d')).find((path) => existsSync(path));
  if (program === undefined || appliance === undefined)
    return { label, missing: 'guestfish is not installed (scripts/setup bench)' };
  return peer(label, [program, '-a', '/dev/null', 'run'], {
    LIBGUESTFS_BACKEND: 'direct',
    // Whatever it would choose, it is compared with a sandbox under the same acceleration.
    LIBGUESTFS_BACKEND_SETTINGS: image.acceleration === 'kvm' ? 'force_kvm' : 'force_tcg',
    LIBGUESTFS_PATH: withDev(appliance, scratch),
    SUPERMIN_KERNEL: `/boot/vmlinuz-${image.kernelVersion}`,
    SUPERMIN_MODULES: `/lib/modules/${image.kernelVersion}`,
  });
}

/**
 * The same with a directory for devices: the appliance has only what the packages of this host say is theirs, and where the base of the system
 * was not installed from packages none of them says so of /dev.
 */
function withDev(appliance: string, scratch: string): string {
  const path = join(scratch, 'guestfs');
  const parts = join(path, 'supermin.d');
  mkdirSync(join(path, 'root/dev'), { recursive: true });
  cpSync(appliance, parts, { recursive: true, preserveTimestamps: true });
  execFileSync('tar', ['-C', join(path, 'root'), '-czf', join(parts, 'dev.tar.gz'), './dev']);
  return path;
}

/** Each builds an image for the same kernel into a file of its own. */
function imageBuilders(session: Session): Peer[] {
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

/** Guests against virt-sandbox, and builders of images against its builder. */
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
    ...table([['a guest that runs a command, whole process', 'median', ''], ...part(false)]),
    '',
    ...table([['building an image, whole process', 'median', ''], ...part(true)]),
    '',
    ...failed,
  ].join('\n');
}
