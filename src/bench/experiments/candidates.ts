/**
 * Kernel arguments and initcalls that may make a boot shorter. Each is a hypothesis until it is measured. The arguments
 * are those of https://docs.kernel.org/admin-guide/kernel-parameters.html
 */

export interface Candidate {
  /** `argument`: a kernel argument to add; `initcall`: a function of the kernel to skip. */
  readonly kind: 'argument' | 'initcall';
  readonly name: string;
  readonly why: string;
  readonly risk: string;
  /**
   * True where it breaks something that a sandbox promises or its users expect. It is measured, but `tune` leaves it
   * out.
   */
  readonly harmful?: boolean;
}

const argument = (name: string, why: string, risk: string): Candidate => ({ kind: 'argument', name, why, risk });
const initcall = (name: string, why: string, risk: string): Candidate => ({ kind: 'initcall', name, why, risk });
const harmful = (candidate: Candidate): Candidate => ({ ...candidate, harmful: true });

export const CANDIDATES: readonly Candidate[] = [
  argument(
    'cryptomgr.notests',
    'no known-answer tests of every cipher',
    'a cipher that is wrong on this machine is not noticed',
  ),
  argument(
    'noreplace-smp',
    'leaves lock prefixes as they are on one processor',
    'a locked instruction takes a little longer',
  ),
  argument(
    'mitigations=off',
    'no defence against speculative execution, and no patching of every retpoline and return for it',
    "programs in the guest may read each other's and the kernel's memory; the host's own defences are not touched",
  ),
  argument('rodata=off', 'the kernel does not write-protect itself', 'a fault in the kernel can overwrite its code'),
  argument(
    'init_on_alloc=0',
    'memory is not zeroed when the kernel takes it',
    'a fault in the kernel can leak old contents',
  ),
  argument(
    'kfence.sample_interval=0',
    'no sampling detector of memory errors',
    'errors of the kernel are noticed less often',
  ),
  argument('edd=off', 'does not ask the BIOS about disks', 'none: a machine without BIOS disks has none'),
  argument('audit=0', 'no audit subsystem', 'nothing is audited'),
  argument(
    'nowatchdog',
    'no watchdog for a processor that hangs',
    'a kernel that hangs says nothing; the boot timeout still ends it',
  ),
  argument('net.ifnames=0', 'plain names of interfaces', 'none: nothing in the guest renames them'),
  argument(
    'tsc=reliable',
    'does not check the clock against another',
    'none under emulation: there the clock is the host’s',
  ),
  argument(
    'rcupdate.rcu_expedited=1',
    'waits for readers the quick way',
    'more interrupts with more than one processor',
  ),
  argument('8250.nr_uarts=1', 'looks for one serial port', 'a second port, as of a debug shell, is not found'),
  argument('i8042.nopnp', 'does not ask ACPI for the keyboard', 'none: there is no keyboard'),
  argument('i8042.noaux', 'does not look for a mouse', 'none: there is no mouse'),
  argument('i8042.dumbkbd', 'does not talk to the keyboard', 'none: there is no keyboard'),
  argument('raid=noautodetect', 'does not look for RAID', 'none: it would find nothing'),
  argument('cgroup_disable=memory', 'no memory controller', 'limits on memory within the guest cannot be set'),
  argument('swiotlb=noforce', 'no bounce buffers', 'none: every device reaches all memory'),
  argument(
    'transparent_hugepage=never',
    'no huge pages behind a program’s back',
    'programs with much memory run slower',
  ),
  argument('numa=off', 'does not look for nodes of memory', 'none with one node'),
  argument('debugfs=off', 'no debugfs', 'debugging aids are not there'),
  argument(
    'pci=lastbus=0',
    'does not look for PCI buses that ACPI does not name, 8160 reads of the configuration space',
    'none: ACPI names every bus of the machine',
  ),
  argument(
    'pci=noearly',
    'does not look at PCI before ACPI is there, for chipsets with faults',
    'none: a virtual chipset has none of them',
  ),
  argument(
    'pci=nommconf',
    'reads the configuration space by ports alone',
    'registers beyond 256 bytes, as of PCIe, are not found',
  ),
  argument('pci=noaer', 'no reports of PCI errors', 'none: virtual devices have none'),
  argument('pcie_ports=compat', 'no services of PCIe ports', 'devices cannot be unplugged'),
  argument('acpi_enforce_resources=no', 'does not check drivers against ACPI', 'none: no driver drives such hardware'),
  argument('thermal.off=1', 'no thermal control', 'none: a virtual machine has no temperature'),
  argument('cpuidle.off=1', 'no governor of idle states', 'an idle guest may use more of the host’s processor'),
  argument(
    'random.trust_cpu=on',
    'takes the processor’s random numbers as entropy',
    'none beyond the processor: the host seeds the pool as well',
  ),
  harmful(argument('apparmor=0', 'no AppArmor', 'a program that confines itself with it is not confined')),
  harmful(
    argument('lsm=', 'no security modules at all', 'a program that confines itself, as with Landlock, is not confined'),
  ),
  harmful(argument('ipv6.disable=1', 'no IPv6', 'programs find no IPv6, not even on the loopback')),
  harmful(argument('nokaslr', 'the kernel is where it always is', 'an attacker knows where')),
  initcall(
    'jent_mod_init',
    'a jitter entropy source for the kernel’s own generator',
    'a kernel in FIPS mode wants it; the pool is seeded by the host',
  ),
  initcall('bpf_tcp_ca_kfunc_init', 'type registration for TCP congestion control in BPF', 'such programs are refused'),
  initcall('bpf_dummy_struct_ops_init', 'a test bench of BPF', 'the self-tests of BPF are refused'),
  initcall('trace_eval_init', 'names of enumerations in trace formats', 'traces show numbers in their place'),
  initcall('dev_map_init', 'device maps of BPF, with their type information', 'none: XDP without maps of devices'),
  initcall(
    'param_sysfs_builtin_init',
    '/sys/module of what is built in',
    'parameters of drivers that are built in cannot be read or set',
  ),
  initcall('init_encrypted', 'keys of the type encrypted', 'such keys cannot be made; ecryptfs and EVM want them'),
  initcall('slab_late_init', '/sys/kernel/slab', 'statistics of the allocator are not there'),
  initcall('memory_tier_late_init', 'tiers of memory', 'none with one kind of memory'),
  initcall('system_heap_create', 'heaps of DMA buffers', 'none: there is no graphics device'),
  initcall('cmos_init', 'the real-time clock', 'no /dev/rtc; the clock is set by the host'),
  initcall('crypto_kdf108_init', 'a key derivation of the keyring', 'TLS keys of the kernel cannot be derived'),
  initcall('i8042_init', 'keyboard and mouse', 'none: there are none'),
  initcall('acpi_pci_link_init', 'links of legacy interrupts', 'devices without MSI may not work'),
  initcall('init_ima', 'measuring of files', 'no file is measured'),
  initcall('ftrace_check_sync', 'a self-check of ftrace', 'none'),
  initcall('latency_fsnotify_init', 'tracing of latencies', 'no such tracing'),
  harmful(
    initcall(
      'load_system_certificate_list',
      'the certificates that modules are signed with',
      'every module taints the kernel as unsigned, and none loads where signatures are enforced',
    ),
  ),
];

/** Names of initcalls that a sandbox needs to start, or to keep its promises. */
const NEEDED = new RegExp(
  `
    virtio pci acpi_init acpi_bus acpi_scan inet ipv4 ipv6 sock netlink net_ unix packet tty pty serial 8250
    console rtc_init clocksource tsc apic timer sched rcu slab_init kswapd shmem tmpfs devtmpfs proc_ sysfs_init
    ramfs rootfs populate initramfs bio blk block elevator deadline mount fs_ pipe eventpoll anon_inode random
    hwrng key_ keyring crypto_algapi crypto_wq aes sha crc x509 pkcs asymmetric trust hugetlb cpu_ topology irq
    workqueue uts ipc mqueue fuse 9p bdi dma iommu swiotlb memcg mem_cgroup cgroup landlock apparmor security
    lsm seccomp audit genl ethtool tcp udp cubic neigh fib ip_ dst skb chr_dev misc_init driver_ platform class
    bus_ param_sysfs_init ksysfs kobject percpu vmstat oom userfault aio io_uring dnotify inotify fanotify`
    .trim()
    .split(/\s+/)
    .join('|'),
);

/** True when nothing is known to need the initcall, so that skipping it is worth a try. */
export function mayBeSkipped(name: string): boolean {
  return !NEEDED.test(name);
}
