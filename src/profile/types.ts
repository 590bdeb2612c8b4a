/**
 * Profiles: how a machine boots, where there is a choice. A profile does not change the sandbox itself.
 *
 * A profile is a file (profiles/*.json). `virt-sandbox-bench tune` can write one, and people can read the reason for
 * each entry.
 */
import type { InitrdCompression } from '../image/manifest.js';

/** Why an entry is in a profile. */
export interface Reason {
  /** What it does. */
  readonly why: string;
  /** What it gains under emulation, as measured. */
  readonly worth: string;
  /**
   * What it gains under KVM, as measured: exits to QEMU, beside the instructions, which it saves there too. Absent if it
   * was not measured.
   */
  readonly worthKvm?: string;
  /** What it may cost in safety, and where it does not fit. */
  readonly risk: string;
}

/** An argument of the kernel: https://docs.kernel.org/admin-guide/kernel-parameters.html */
export interface KernelArgument extends Reason {
  readonly argument: string;
}

/** A kernel function to skip at boot: `initcall_blacklist=`. A kernel without that function ignores the name. */
export interface SkippedInitcall extends Reason {
  readonly initcall: string;
}

/** Settings of the machine for which libvirt's default is not the fastest. */
export interface MachineTuning {
  /** `qboot`, if QEMU has it; `libvirt`: libvirt's default, which is SeaBIOS. */
  readonly firmware: 'qboot' | 'libvirt';
  /** `root`: devices on the root bus; `ports`: each in its own PCIe port, which is libvirt's default. */
  readonly bus: 'root' | 'ports';
  /** Whether the machine has the devices and features of q35 that no sandbox uses. */
  readonly legacy: 'absent' | 'present';
}

/** Settings of the boot image. */
export interface ImageTuning {
  /**
   * `packed`: the kernel unpacks itself in the guest; default: `unpacked`, if QEMU can boot the kernel inside the
   * bzImage.
   */
  readonly kernel?: 'unpacked' | 'packed';
  /** Compression of the initrd; default: `none`. */
  readonly initrd?: InitrdCompression;
}

export interface Profile {
  readonly format: 1;
  readonly name: string;
  readonly description: string;
  readonly kernelArguments: readonly KernelArgument[];
  readonly initcallBlacklist: readonly SkippedInitcall[];
  readonly machine: MachineTuning;
  readonly image?: ImageTuning;
  /**
   * `unchecked`: the init strips signatures, and sections that cost time, from modules before it loads them, since
   * checking signatures takes long under emulation. The kernel reports itself tainted (E). A kernel that enforces
   * signatures gets them after all. Default: `checked`.
   */
  readonly moduleSignatures?: 'checked' | 'unchecked';
  /** Names of additional module sets in kmods/, beyond those that the sandbox needs. */
  readonly moduleSets?: readonly string[];
  /** Additional arguments of QEMU, for measuring: `-icount`. */
  readonly qemuArguments?: readonly string[];
}

/** A profile's file. If it extends another profile, which it names, it holds only the differences. */
export interface ProfileFile
  extends Pick<Profile, 'format' | 'name' | 'description'>,
    Partial<Omit<Profile, 'format' | 'name' | 'description' | 'machine'>> {
  readonly extends?: string;
  readonly machine?: Partial<MachineTuning>;
}
