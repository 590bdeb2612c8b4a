/**
 * A profile: what of a boot is a matter of choice. It says nothing of the sandbox itself, which is the same under every profile.
 *
 * Profiles are files (profiles/*.json), so that `virt-sandbox-bench tune` can write one, and a person can read why each thing is there.
 */
import type { InitrdCompression } from '../image/manifest.js';

/** Why something is in a profile. */
export interface Reason {
  /** What it does. */
  readonly why: string;
  /** What it is worth, as it was measured, and on what. */
  readonly worth: string;
  /** What it may cost: in safety, or where it does not fit. */
  readonly risk: string;
}

/** One argument of the kernel; https://docs.kernel.org/admin-guide/kernel-parameters.html */
export interface KernelArgument extends Reason {
  readonly argument: string;
}

/** A function of the kernel that is not called at boot: `initcall_blacklist=`. A kernel without it ignores the name. */
export interface SkippedInitcall extends Reason {
  readonly initcall: string;
}

/** The machine, where libvirt's own choice is not the quickest. */
export interface MachineTuning {
  /** `qboot` where QEMU brings it; `libvirt`: what libvirt chooses, which is SeaBIOS. */
  readonly firmware: 'qboot' | 'libvirt';
  /** `root`: devices on the root bus; `ports`: each in a PCIe port of its own, as libvirt places them. */
  readonly bus: 'root' | 'ports';
  /** Devices and features of q35 that no sandbox uses. */
  readonly legacy: 'absent' | 'present';
}

/** The boot image, where it can be had in more than one way. */
export interface ImageTuning {
  /** `packed`: the kernel unpacks itself in the guest; default: `unpacked`, where QEMU can boot what is inside. */
  readonly kernel?: 'unpacked' | 'packed';
  /** How the initrd is packed; default: not at all. */
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
   * `unchecked`: the init hands the kernel its modules without their signatures, whose check takes long under emulation, and without
   * sections that cost time; the kernel says that it is tainted (E). One that enforces them gets them after all. Default: `checked`.
   */
  readonly moduleSignatures?: 'checked' | 'unchecked';
  /** Sets of modules beyond those that the sandbox needs, by their names in kmods/. */
  readonly moduleSets?: readonly string[];
  /** Handed to QEMU as they are: for measuring, as with `-icount`. */
  readonly qemuArguments?: readonly string[];
}

/** A profile as it is written down. One that extends another, which it names, says only in what it differs. */
export interface ProfileFile
  extends Pick<Profile, 'format' | 'name' | 'description'>,
    Partial<Omit<Profile, 'format' | 'name' | 'description' | 'machine'>> {
  readonly extends?: string;
  readonly machine?: Partial<MachineTuning>;
}
