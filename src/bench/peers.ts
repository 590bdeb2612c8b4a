/** Other programs that do the like, in the same session and on the same kernel. What is not installed is named and left out. */
import { existsSync, mkdtempSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { findInPath } from '../programs.js';
import { findVirtme, virtmeArgv } from './context.js';
import { hostText } from './host.js';
import { floorVariant } from './measure.js';
import { makeResult, type Result, variantResult } from './result.js';
import { amount, measureInTurns } from './series.js';
import type { Session } from './session.js';
import { failureLine, table } from './text.js';
import { type ProgramVariant, profileOptions, type SandboxVariant } from './variant.js';

/** What starts a guest; `image: ` in a label marks what only builds an image. */
const IMAGE = 'image: ';

export async function measurePeers(session: Session, sandbox: SandboxVariant, runs: number): Promise<Result> {
  const builders = imageBuilders(session);
  const variants = [sandbox, ...(await guests(session, sandbox)), ...builders];
  const missing = variants.filter((one) => 'missing' in one);
  for (const { label, missing: why } of missing) session.say(`${label} is left out: ${why}`);
  const present = variants.filter((one): one is SandboxVariant | ProgramVariant => !('missing' in one));
  const measured = await measureInTurns(present, { ...session, runs, warmUp: 1 });
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

type Peer = ProgramVariant | Missing;

async function guests(session: Session, sandbox: SandboxVariant): Promise<Peer[]> {
  const { image, program, scratch } = session;
  const virtme = findVirtme(image.kernelVersion);
  const vng: Peer =
    'missing' in virtme
      ? { label: 'virtme-ng', missing: virtme.missing }
      : peer('virtme-ng', virtmeArgv(virtme, '/bin/true'));
  const over = (uri: string) =>
    peer(`virt-sandbox -c ${uri}`, [
      ...([program, '-c', uri, ...profileOptions(sandbox.profile, scratch), '--'] as const),
      ...sandbox.command,
    ]);
  return [
    ...(await floorVariant(session, sandbox)),
    over('qemu:///embed'),
    findInPath('libvirt_lxc') === undefined && !existsSync('/usr/lib/libvirt/libvirt_lxc')
      ? { label: 'virt-sandbox -c lxc:///', missing: "libvirt's LXC driver is not installed" }
      : over('lxc:///'),
    vng,
    libguestfs(session),
  ];
}

/** Its appliance is built once, before the warm-up is over. */
function libguestfs({ image }: Session): Peer {
  const label = 'libguestfs appliance';
  const program = findInPath('guestfish');
  if (program === undefined) return { label, missing: 'guestfish is not installed (Debian: guestfish)' };
  const kernel = `/boot/vmlinuz-${image.kernelVersion}`;
  return peer(label, [program, '-a', '/dev/null', 'run'], {
    LIBGUESTFS_BACKEND: 'direct',
    LIBGUESTFS_BACKEND_SETTINGS: 'force_tcg',
    SUPERMIN_KERNEL: kernel,
    SUPERMIN_MODULES: `/lib/modules/${image.kernelVersion}`,
  });
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
    builder('mktirfs', '-o', into('mktirfs'), '-k', version),
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
