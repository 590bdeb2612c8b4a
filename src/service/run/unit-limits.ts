/** Limits of units that have no effect, because the control groups of a sandbox lack what would see to them. */
import { ignoreSandboxError } from '../../util/errors.js';
import { printable, type SystemdSandbox } from './unit-states.js';

/** A limit that nothing sees to. */
export interface IdleLimit {
  readonly unit: string;
  /** As a unit file has it: `MemoryMax`. */
  readonly directive: string;
  /** What it would take: `memory`. */
  readonly controller: string;
}

/** Of all that systemctl says. */
const MOST_BYTES = 1 << 20;

/** Directives by the controller that sees to them: systemd.resource-control(5) */
const DIRECTIVES: Readonly<Record<string, readonly string[]>> = {
  memory: 'MemoryMin MemoryLow MemoryHigh MemoryMax MemorySwapMax MemoryZSwapMax'.split(' '),
  pids: ['TasksMax'],
  cpu: ['CPUWeight', 'CPUQuota'],
  cpuset: ['AllowedCPUs', 'AllowedMemoryNodes'],
  io: 'IOWeight IODeviceWeight IOReadBandwidthMax IOWriteBandwidthMax IOReadIOPSMax IOWriteIOPSMax'.split(' '),
};

/** Where systemctl calls a directive otherwise. */
const PROPERTY: Readonly<Record<string, string>> = { CPUQuota: 'CPUQuotaPerSecUSec' };

const propertyOf = (directive: string) => PROPERTY[directive] ?? directive;

/** What a unit has without a directive. Of memory that is protected, that is nothing. */
const UNSET: readonly string[] = ['', 'infinity', '[not set]'];
const PROTECTS: readonly string[] = ['MemoryMin', 'MemoryLow'];

/**
 * Prints the controllers, and goes on if one of them is missing: that takes no program. Before systemd is up, nobody
 * gets here.
 */
const ASK = `read -r found </sys/fs/cgroup/cgroup.controllers; echo "$found"
for one in ${Object.keys(DIRECTIVES).join(' ')}; do
	case " $found " in *" $one "*) ;; *) lacks=$one ;; esac
done
[ -n "$lacks" ] || exit 0
systemctl show --property=DefaultTasksMax
echo
exec systemctl show --property="$@"`;

const PROPERTIES = Object.values(DIRECTIVES).flat().map(propertyOf).join(',');

/**
 * Those of units that have no effect.
 * @param signal gives up
 * @throws what `run` throws
 */
export async function idleLimits(
  sandbox: SystemdSandbox,
  units: readonly string[],
  { signal }: { readonly signal?: AbortSignal | undefined } = {},
): Promise<IdleLimit[]> {
  if (units.length === 0) return [];
  const command = ['/bin/sh', '-c', ASK, 'sh', PROPERTIES, '--', ...units];
  const { stdout } = await sandbox.run(command, { signal, maxBuffer: MOST_BYTES });
  return readLimits(stdout, units);
}

/** {@link limitTexts} of those; none where the sandbox does not say. @throws what `run` throws beside SandboxErrors */
export async function idleLimitTexts(
  sandbox: SystemdSandbox,
  units: readonly string[],
  { platform }: { readonly platform: 'machine' | 'container' },
  signal?: AbortSignal,
): Promise<string[]> {
  const limits = await ignoreSandboxError(idleLimits(sandbox, units, { signal }));
  return limitTexts(limits ?? [], platform);
}

/** @param text what the command prints: controllers, the manager's settings, and one block of lines a unit */
export function readLimits(text: string, units: readonly string[]): IdleLimit[] {
  const end = text.indexOf('\n');
  const found = text.slice(0, end).split(' ');
  const [manager = '', ...blocks] = text.slice(end + 1).split('\n\n');
  // What is inside may say anything.
  if (blocks.length !== units.length) return [];
  const usual = settings(manager).get('DefaultTasksMax') ?? 'infinity';
  return units.flatMap((unit, at) => {
    const its = settings(blocks[at] ?? '');
    const isSet = (directive: string) => {
      const value = its.get(propertyOf(directive)) ?? '';
      if (UNSET.includes(value) || (value === '0' && PROTECTS.includes(directive))) return false;
      return directive !== 'TasksMax' || value !== usual;
    };
    return Object.entries(DIRECTIVES)
      .filter(([controller]) => !found.includes(controller))
      .flatMap(([controller, directives]) =>
        directives.filter(isSet).map((directive) => ({ unit, directive, controller })),
      );
  });
}

function settings(block: string): Map<string, string> {
  return new Map(
    block.split('\n').map((line) => {
      const end = line.indexOf('=');
      return [line.slice(0, end), printable(line.slice(end + 1))] as const;
    }),
  );
}

/** One sentence for each unit and controller, with what to do. */
export function limitTexts(limits: readonly IdleLimit[], platform: 'machine' | 'container'): string[] {
  const texts = new Map<
    string,
    { readonly directives: string[]; readonly controller: string; readonly unit: string }
  >();
  for (const { unit, directive, controller } of limits) {
    const key = `${unit} ${controller}`;
    const known = texts.get(key) ?? { directives: [], controller, unit };
    known.directives.push(`${directive}=`);
    texts.set(key, known);
  }
  return [...texts.values()].map(({ unit, directives, controller }) => {
    const have = directives.length === 1 ? 'has' : 'have';
    const why = `the control groups of this ${platform} have no controller of version 2 for ${WHAT[controller]}`;
    return `${directives.join(' and ')} of ${unit} ${have} no effect: ${why}; ${remedyOf(controller, platform)}`;
  });
}

const WHAT: Readonly<Record<string, string>> = {
  memory: 'memory',
  pids: 'the number of processes',
  cpu: 'time of processors',
  cpuset: 'the choice of processors',
  io: 'disks',
};

/** What limits the whole service; nothing does so for the others. */
const WHOLE: Readonly<Record<string, string>> = { memory: '--memory', cpu: '--cpu-quota' };

function remedyOf(controller: string, platform: 'machine' | 'container'): string {
  const whole = WHOLE[controller];
  const bound = whole === undefined ? undefined : `bound the whole service with ${whole}`;
  const other =
    platform === 'container' ? 'run it in a machine (-c qemu:///system)' : 'boot a kernel that has it (--kernver)';
  return [bound, other].filter((part) => part !== undefined).join(', or ');
}
