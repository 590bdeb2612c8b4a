/** What libvirt says, turned into what happened and what to do about it. */
import { dirname } from 'node:path';
import { SandboxError } from '../util/errors.js';
import { findInPath } from '../util/programs.js';

interface Rule {
  readonly pattern: RegExp;
  readonly code: string;
  readonly remedy: string;
}

/** First match wins. The texts are libvirt's and QEMU's own. */
const rules: readonly Rule[] = [
  {
    pattern: /domain .* (?:already exists|is already)|already exists with uuid|already active/i,
    code: 'name-in-use',
    remedy: 'choose another name with --name, or end that sandbox first',
  },
  {
    pattern: /virtlogd-sock/,
    code: 'virtlogd-missing',
    remedy: 'start virtlogd beside libvirtd (as root: virtlogd -d)',
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
    remedy: 'use --accel tcg, or give this user access to /dev/kvm',
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
    remedy:
      "leave --net-limit out, or load the kernel's schedulers on the host (sch_htb, sch_sfq, sch_ingress, cls_u32, act_police)",
  },
  {
    pattern: /nbd/i,
    code: 'image-format-unusable',
    remedy:
      'a container has images that are not raw by the network block devices of the host, which has none: make it raw (qemu-img convert -O raw), or use a virtual machine',
  },
  {
    // A thread of qemu-nbd that ended while libvirt moved it to the container's control group.
    pattern: /cgroup\.procs': No such process/,
    code: 'image-format-raced',
    remedy:
      'end the qemu-nbd that libvirt has left and start it again, or make the image raw (qemu-img convert -O raw)',
  },
  {
    pattern: /cgroup/i,
    code: 'cgroups-unusable',
    remedy:
      'see that the cgroup controllers cpu, cpuacct, memory, devices and freezer are mounted where libvirtd runs, or use a virtual machine; docs/lxc.md has more',
  },
  {
    pattern: /Failed to get "[^"]+" lock|another process using the image/i,
    code: 'image-in-use',
    remedy: 'end what uses that image, or give every user of it only to read (,ro)',
  },
  {
    pattern: /invalid \S+ image|Image is not in \S+ format|not in \S+ format|Could not read (?:image|snapshot|L1)/i,
    code: 'image-invalid',
    remedy: 'see that it is an image of that format (,format=…)',
  },
  {
    pattern: /virtiofsd/i,
    code: 'virtiofsd-missing',
    remedy: 'install it (Debian: virtiofsd), or let the mount be read-only (,ro)',
  },
  {
    pattern: /Cannot access|Permission denied/i,
    code: 'file-not-readable',
    remedy: 'make that file readable for the user that QEMU runs as, and the directories above it searchable',
  },
  {
    pattern: /cannot set up guest memory|Cannot allocate memory/i,
    code: 'no-memory',
    remedy: 'ask for less with --memory, or free some on the host',
  },
];

/** Where QEMU is and libvirt has not found it, it is of no use to install it. */
function remedyOf({ code, remedy }: Rule): string {
  const qemu = code === 'qemu-missing' ? findInPath('qemu-system-x86_64') : undefined;
  if (qemu === undefined) return remedy;
  return `${qemu} is there: see that it can be executed, and that libvirtd was started with ${dirname(qemu)} in its PATH`;
}

/** The error for a domain that libvirt would not start. */
export function domainError(name: string, message: string): SandboxError {
  const text = tidy(message);
  const rule = rules.find(({ pattern }) => pattern.test(text));
  return new SandboxError({
    stage: 'domain',
    code: rule?.code ?? 'domain-refused',
    message:
      rule?.code === 'name-in-use'
        ? `the name ${name} is in use: ${text}`
        : `libvirt did not start domain ${name}: ${text}`,
    remedy: (rule && remedyOf(rule)) ?? 'look at the domain with --print-xml and at the log of libvirt',
  });
}

/** The error for a URI that could not be connected to. */
export function connectError(uri: string, message: string): SandboxError {
  return new SandboxError({
    stage: 'libvirt',
    code: 'libvirt-unreachable',
    message: `cannot connect to ${uri}: ${tidy(message)}`,
    remedy:
      REMEDIES[uri] ?? 'install the libvirt daemon (Debian: libvirt-daemon), or leave out -c to do without a daemon',
  });
}

/** The error for a daemon that takes connections and does not answer. */
export function silentError(uri: string, milliseconds: number): SandboxError {
  const instead = uri === 'lxc:///' ? 'for a virtual machine' : 'to do without a daemon';
  return new SandboxError({
    stage: 'libvirt',
    code: 'libvirt-silent',
    message: `the daemon of ${uri} has not answered within ${milliseconds / 1000} s`,
    remedy: `see what it waits for (is it stopped?), start it anew, or leave out -c ${instead}`,
  });
}

const REMEDIES: Readonly<Record<string, string>> = {
  'qemu:///system': 'start libvirtd (as root: libvirtd -d), or leave out -c to do without a daemon',
  'lxc:///':
    'start libvirtd (as root: libvirtd -d) with its LXC driver (Debian: libvirt-daemon-driver-lxc), or leave out -c for a virtual machine',
};

/** One line, without the time stamps and levels of a log. */
function tidy(message: string): string {
  return message
    .split('\n')
    .map((line) =>
      line.replace(/^\d{4}-\d\d-\d\d[T ][\d:.]+(?:\+\d{4}|Z)?:? (?:\d+: )?(?:error : \w+:\d+ : )?/, '').trim(),
    )
    .filter((line) => line !== '' && !/^(?:info|warning) :|^Please use |deprecated/.test(line))
    .join(' ')
    .replace(QEMU_OPTION, (option, rest: string) => (rest.includes('/') ? rest : `${option}`))
    .trim();
}

/** QEMU says which of its options failed, in full; that helps only where what follows does not name the file. */
const QEMU_OPTION = /-(?:blockdev|device) \{[^}]*\}: (.*)$/;
