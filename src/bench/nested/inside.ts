/** What runs inside the emulated machine: the preparations for KVM, and then the program that measures. */
import { shellWord } from '../../util/shell-word.js';

/** Exit status of the script if the machine lacks something; the program's own are others. */
export const UNPREPARED = 3;

/** Directories that libvirt and virt-sandbox write to. The root is the host's and read-only. */
const WRITABLE = ['/var/cache', '/var/lib/libvirt', '/var/log', '/var/tmp'];
const DIRECTORIES = ['/run/libvirt', '/var/lib/libvirt/qemu', '/var/log/libvirt/qemu'];

export interface Inside {
  /** Directory of the programs. */
  readonly programs: string;
  /** The program that measures, and its arguments. */
  readonly command: readonly string[];
  /** For each snapshot to bake first, the arguments of `virt-sandbox-bake create`. */
  readonly snapshots: readonly (readonly string[])[];
}

/**
 * A script for a shell that is root. QEMU emulates AMD's virtualization and not Intel's, so the module is kvm_amd.
 * https://www.qemu.org/docs/master/system/i386/cpu.html
 */
export function insideScript({ programs, command, snapshots }: Inside): string {
  const line = (words: readonly string[]) => words.map(shellWord).join(' ');
  const bake = `${programs}/virt-sandbox-bake`;
  return [
    `fail() { echo "virt-sandbox-bench: nested: $1" >&2; exit ${UNPREPARED}; }`,
    'said=$(modprobe kvm_amd 2>&1) ||',
    '  fail "the guest\'s kernel, $(uname -r), does not load kvm_amd, the KVM for the emulated processor: $said"',
    '[ -c /dev/kvm ] || fail "kvm_amd is loaded, and there is no /dev/kvm"',
    // QEMU has a user of its own, and the machine no udev.
    'chmod 666 /dev/kvm',
    ...WRITABLE.map((path) => `mount -t tmpfs -o mode=755 tmpfs ${path} || fail "${path} cannot be made writable"`),
    'chmod 1777 /var/tmp',
    `mkdir -p ${DIRECTORIES.join(' ')} || fail "the directories of libvirt cannot be made"`,
    // Without it exits are not counted, and the program says so.
    'mount -t debugfs debugfs /sys/kernel/debug 2>/dev/null',
    ...snapshots.flatMap((args) => [
      'echo "virt-sandbox-bench: nested: baking a snapshot" >&2',
      `${line([bake, 'create', '--warm', ...args])} >/dev/null || fail "there is no snapshot"`,
    ]),
    `exec ${line(command)}`,
    '',
  ].join('\n');
}
