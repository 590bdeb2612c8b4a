/** Turns messages of libvirt and QEMU into errors with a code and a remedy. */

import { dirname } from 'node:path';
import { SandboxError } from '../util/errors.js';
import { forCaller, option, shortOption } from '../util/option-names.js';
import { findInPath } from '../util/programs.js';
import { enforcesSelinux } from '../util/selinux.js';
import { goneSource, SOURCE_GONE } from './gone-source.js';
import { withImages, withSources } from './named-images.js';
import { serverRemedy } from './qemu-log.js';

interface Rule {
  readonly pattern: Pick<RegExp, 'test'>;
  readonly code: string;
  readonly remedy: string | ((facts: MessageFacts) => string);
  /** The error's message; default: that libvirt did not start the domain, and its text. */
  readonly message?: (name: string, text: string) => string;
}

/** Messages of init/root-view/main.c, which runs before libvirt. */
const ROOT_VIEW = /^root-view: (.*)/;
const ROOT_SERVER = /^root-view: (cannot serve the view .*)/;
const OWN_DISKS = /^root-view: (cannot (?:give QEMU's user the disk|mount disks in) .*)/;

/** Code of the error for a QEMU that ended while libvirt was starting its domain, and said nothing. */
const QEMU_GONE = 'qemu-gone';

/** Code of the error that no rule below knows. */
const DOMAIN_REFUSED = 'domain-refused';

/** libvirt's words for that. QEMU's own may follow, warnings among them. */
const CLOSED_MONITOR = /qemu unexpectedly closed the monitor/i;

/** libvirt's words where it moves or pins a QEMU that has just ended. */
const NO_PROCESS = /: No such process\b/;

/** QEMU's words where libvirt has ended it. */
const ENDED_BY_LIBVIRT = /: terminating on signal 15 from pid \d+ \((?:\S*\/)?(?:virt-qemu-run|libvirtd|virtqemud)\)/;

/** Whether no more is known of a domain's end than that its QEMU is gone. What a rule knows is its reason. */
export function isQemuGone({ code, message }: SandboxError): boolean {
  if (code === QEMU_GONE || NO_PROCESS.test(message)) return true;
  return code === DOMAIN_REFUSED && CLOSED_MONITOR.test(message);
}

/** Whether QEMU says that libvirt has ended it. Where QEMU may not see who did, it does not say so. */
export function hasLibvirtEnded({ code, message }: SandboxError): boolean {
  return code === DOMAIN_REFUSED && ENDED_BY_LIBVIRT.test(message);
}

/** What libvirt says of a QEMU that ended and said nothing. */
const SILENT_QEMU = /Child process \([\s\S]*\/qemu-[\s\S]*\) unexpected exit status 1$/;

/** The first match wins. The patterns are texts of libvirt and QEMU. */
const rules: readonly Rule[] = [
  {
    pattern: { test: (text) => goneSource(text) !== undefined },
    code: SOURCE_GONE,
    remedy:
      'start it again when nobody mounts and unmounts there; if it is there all the time, see that libvirtd does not run in a mount namespace of its own',
    message: (name, text) =>
      `libvirt does not find ${goneSource(text)}, which the host had when container ${name} was to start`,
  },
  // What the host lacks comes first: it is the reason of any other failure.
  {
    // root-view has the same error of a kernel that allows no more user namespaces or mounts, except where it makes a
    // directory, or the files of a server. The last two give no reason here. Such small files fail for lack of space only.
    pattern:
      /^(?!root-view: (?!cannot (?:make|serve) ))[\s\S]*(?:No space left on device|Disk quota exceeded|Failed to write pid file[^:]*$|failed to write master key file[^:]*$)/,
    code: 'disk-full',
    remedy: 'free some space there: sandboxes keep sockets and logs in /run, or in your home and /run/user',
  },
  {
    // What QEMU says goes to a file of libvirt's, which has nothing where there is no space for it.
    pattern: SILENT_QEMU,
    code: 'disk-full',
    remedy: 'free some space in /run, or in your home and /run/user, where sandboxes keep sockets and logs',
    message: (name) => `QEMU of domain ${name} ended at once, and what it said could not be written down`,
  },
  {
    pattern: /Too many open files/,
    code: 'too-few-files',
    remedy: 'raise the limit of open files of what starts QEMU, this shell or libvirtd: ulimit -n 1024',
  },
  {
    pattern: /cannot set up guest memory|Cannot allocate memory/i,
    code: 'no-memory',
    remedy: () => `ask for less with ${option('memory')}, or free some on the host`,
  },
  {
    pattern: OWN_DISKS,
    code: 'disks-not-owned',
    remedy: 'keep the image on a file system that can be mounted with other owners (docs/security.md)',
    message: (_name, text) => OWN_DISKS.exec(text)?.[1] ?? text,
  },
  {
    pattern: ROOT_SERVER,
    code: 'root-server-failed',
    remedy: () =>
      `use ${option('rootFs', '9p')}, with a kernel that has 9p (${option('kernel.version')}) where this one has none`,
    message: (_name, text) => `the root cannot be served over virtiofs: ${ROOT_SERVER.exec(text)?.[1] ?? text}`,
  },
  {
    pattern: ROOT_VIEW,
    code: 'root-view-impossible',
    remedy: () =>
      `allow what it names on this host (docs/security.md), or leave out ${option('privileged')}, ${option('hidden')} and ${option('home')}`,
    message: (_name, text) =>
      `the host's processes and private files cannot be hidden from the sandbox: ${ROOT_VIEW.exec(text)?.[1] ?? text}`,
  },
  {
    pattern: /domain .* (?:already exists|is already)|already exists with uuid|already active/i,
    code: 'name-in-use',
    remedy: () => `choose another name with ${option('name')}, or end that sandbox first`,
    message: (name, text) => `the name ${name} is in use: ${text}`,
  },
  {
    pattern: /^(?!.*qemu[\w-]*: )(?:internal error: )?qemu unexpectedly closed the monitor/i,
    code: QEMU_GONE,
    remedy: 'see if the host killed it for lack of memory (dmesg), and free some then',
  },
  {
    pattern: /virtlogd-sock/,
    code: 'virtlogd-missing',
    remedy: 'start virtlogd too (as root: virtlogd -d)',
  },
  {
    pattern:
      /Cannot find suitable emulator|No emulator found|could not find capabilities|unable to find any emulator|Cannot check QEMU binary|emulator .* does not support/i,
    code: 'qemu-missing',
    remedy: 'install QEMU for this architecture (Debian: qemu-system-x86)',
  },
  {
    pattern: /Could not access KVM|KVM is not available|failed to initialize kvm|domain type.*kvm/i,
    code: 'kvm-unusable',
    remedy: () => `use ${option('acceleration', 'tcg')}, or give this user access to /dev/kvm`,
  },
  {
    pattern: /no network with matching name|network '[^']*' is not active|network is not active/i,
    code: 'network-not-there',
    remedy: 'see virsh net-list --all, and start the network with virsh net-start',
  },
  {
    pattern: /referenced filter '[^']*' is missing|no nwfilter with matching name|nwfilter driver/i,
    code: 'filter-not-there',
    remedy:
      "see virsh nwfilter-list; libvirt's driver for filters is a package of its own (libvirt-daemon-driver-nwfilter)",
  },
  {
    pattern: /'user' (?:is not a valid|does not exist)|backend 'user' is not|-netdev user.*(?:slirp|not compiled)/i,
    code: 'slirp-missing',
    remedy: 'use a QEMU that was built with slirp, or give the interface source=NETWORK',
  },
  {
    pattern: /\btc (?:qdisc|class|filter) /,
    code: 'net-limit-unsupported',
    remedy: () =>
      `leave ${option('tuning.networkLimits')} out, or load the kernel's schedulers on the host (sch_htb, sch_sfq, sch_ingress, cls_u32, act_police)`,
  },
  {
    pattern: /nbd/i,
    code: 'image-format-unusable',
    remedy:
      'convert the image to raw (qemu-img convert -O raw), since the host has no network block devices, or use a virtual machine',
  },
  {
    // A thread of qemu-nbd ended while libvirt was moving it to the container's control group.
    pattern: /cgroup\.procs': No such process/,
    code: 'image-format-raced',
    remedy: 'end the qemu-nbd that libvirt left and try again, or convert the image to raw (qemu-img convert -O raw)',
  },
  {
    // libvirt raises QEMU's limit of locked memory to the limit of its memory.
    pattern: /cannot limit locked memory/i,
    code: 'memory-limit-refused',
    remedy: () =>
      `leave ${option('tuning.memoryLimit')} out, or let libvirtd raise that limit (CAP_SYS_RESOURCE, or ulimit -l where it is started)`,
  },
  {
    pattern: /weight is valid only for/,
    code: 'block-weight-unsupported',
    remedy: () =>
      `leave ${option('tuning.blockWeight')} out, or load the kernel's scheduler that knows weights on the host (modprobe bfq)`,
  },
  {
    pattern: /set scheduler parameters/i,
    code: 'cpu-scheduler-refused',
    remedy: () =>
      `use ${option('tuning.cpuScheduler')} batch or idle, or let libvirtd use the real-time schedulers (CAP_SYS_NICE, and cpu.rt_runtime_us of its control groups where the kernel has that)`,
  },
  {
    pattern: /cgroup/i,
    code: 'cgroups-unusable',
    remedy:
      'mount the cgroup controllers cpu, cpuacct, memory, devices and freezer where libvirtd runs, or use a virtual machine; see docs/lxc.md',
  },
  {
    // libvirt says so first where each QEMU has a user of its own.
    pattern:
      /Failed to get (?:shared )?"[^"]+" lock|another process using the image|Setting different DAC user or group/i,
    code: 'image-in-use',
    remedy: 'end what uses that image, or give every user of it only to read (,ro)',
  },
  {
    pattern: /invalid \S+ image|Image is not in \S+ format|not in \S+ format|Could not read (?:image|snapshot|L1)/i,
    code: 'image-invalid',
    remedy: 'check that the image has that format (,format=…)',
  },
  {
    // libvirt takes each server of a directory for a virtiofsd, and asks it first what it can do.
    pattern: /virtiofsd died unexpectedly|--print-capabilities\) unexpected /i,
    code: 'share-server-failed',
    remedy: ({ isEnforcing = enforcesSelinux(), serverLogs = [] }) => serverRemedy(isEnforcing, serverLogs),
    message: (name, text) =>
      `libvirt did not start domain ${name}, since the server of one of its directories did not run: ${text}`,
  },
  {
    pattern: /virtiofsd/i,
    code: 'virtiofsd-missing',
    remedy: 'install it (Debian: virtiofsd), or make the mount read-only (,ro)',
  },
  {
    // "Invalid argument" for a label that the policy does not know; "Permission denied" if it keeps libvirt from it.
    pattern: /unable to set (?:socket )?security context/i,
    code: 'security-label-refused',
    remedy: () =>
      `give a label that the host's policy of SELinux has and lets libvirt use (${option('security')}), and see what it denied: dmesg | grep avc`,
  },
  {
    pattern: /\/var\/lib\/libvirt\/qemu\/[^\n]*Permission denied/i,
    code: 'file-not-readable',
    remedy: () =>
      `let QEMU through, which has a user of its own: chmod o+x /var/lib/libvirt/qemu; or use ${shortOption('connect', 'qemu:///embed')}, which has a directory for each sandbox`,
  },
  {
    pattern: /Cannot access|Permission denied/i,
    code: 'file-not-readable',
    remedy: 'make that file readable, and the directories above it searchable, for the user that QEMU runs as',
  },
];

/** The remedy of a rule. If libvirt did not find an installed QEMU, it is another one than to install QEMU. */
function remedyOf({ code, remedy }: Rule, facts: MessageFacts): string {
  const qemu = code === 'qemu-missing' ? findInPath('qemu-system-x86_64') : undefined;
  if (qemu === undefined) return typeof remedy === 'string' ? remedy : remedy(facts);
  return `check that ${qemu} can be executed, and that libvirtd was started with ${dirname(qemu)} in its PATH`;
}

/** What a message about a domain may lack. */
export interface MessageFacts {
  /** XML of the domain: it names the images for a message that names none. */
  readonly xml?: string;
  /** What the user calls the files that the XML names: the host's path by the path in the XML. */
  readonly sources?: ReadonlyMap<string, string> | undefined;
  /** Whether SELinux is enforced; default: as on this host. */
  readonly isEnforcing?: boolean;
  /** Logs in which servers of directories have said something. */
  readonly serverLogs?: readonly string[];
}

/**
 * The error for a domain that libvirt did not start.
 * @param message libvirt's or QEMU's
 */
export function domainError(name: string, message: string, facts: MessageFacts = {}): SandboxError {
  const { xml = '', sources } = facts;
  // virt-qemu-run says nothing when a signal ends it while it starts the domain.
  const text = withSources(withImages(tidy(message), xml), sources) || 'it ended without a message';
  const rule = rules.find(({ pattern }) => pattern.test(text));
  return new SandboxError({
    stage: 'domain',
    code: rule?.code ?? DOMAIN_REFUSED,
    message: rule?.message?.(name, text) ?? `libvirt did not start domain ${name}: ${text}`,
    remedy:
      (rule && remedyOf(rule, facts)) ??
      forCaller({
        commandLine: 'look at the domain with --print-xml, and at the log of libvirt',
        program: 'look at the log of libvirt',
      }),
  });
}

/** Lines that say nothing about a failure. */
const NOTES = /^(?:info|warning) :|^Please use |^root-view note: |deprecated/;

/** Joins a message into one line, without the time stamps and levels of a log. */
export function tidy(message: string): string {
  return message
    .split('\n')
    .map((line) =>
      line.replace(/^\d{4}-\d\d-\d\d[T ][\d:.]+(?:\+\d{4}|Z)?:? (?:\d+: )?(?:error : \w+:\d+ : )?/, '').trim(),
    )
    .filter((line) => line !== '' && (ROOT_VIEW.test(line) || !NOTES.test(line)))
    .join(' ')
    .replace(QEMU_OPTION, (option, rest: string) => (rest.includes('/') ? rest : `${option}`))
    .trim();
}

/** QEMU repeats the whole option that failed. It is dropped if the text after it names the file. */
const QEMU_OPTION = /-(?:blockdev|device) \{[^}]*\}: (.*)$/;
