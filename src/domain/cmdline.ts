/**
 * The kernel's command line. Nothing that a person wrote goes here: arguments, environment and paths travel over the channel alone.
 *
 * https://docs.kernel.org/admin-guide/kernel-parameters.html
 */

/**
 * Arguments of every boot. The seconds are what each was worth of a boot of 2.6 s to a first process in one experiment: Debian's 6.12 under TCG,
 * processor time of a bare QEMU whose init powers off, the best of three, a shared machine; they are good to 0.1 s. Left out although they
 * save something, because they weaken the guest's kernel: mitigations=off, rodata=off, init_on_alloc=0.
 */
const ALWAYS = [
  // The log, and what a panic prints.
  'console=ttyS0',
  // A kernel that panics ends the machine at once, with its message on the console.
  'panic=-1',
  // On a busy host the kernel may see no tick while it checks that the emulated timer works, and then it panics.
  'no_timer_check',
  // 0.6 s: known-answer tests of every cipher, which say nothing about a machine that lives for seconds.
  'cryptomgr.notests',
  // 0.1 s: patching the lock prefixes out for one processor.
  'noreplace-smp',
  // 0.3 s in all. jent: a jitter entropy source for the kernel's own DRBG; the pool is seeded from the host. bpf: type registration for
  // TCP congestion control in BPF. trace: names of enumerations in trace formats. A kernel without one of them ignores its name.
  `initcall_blacklist=${['jent_mod_init', 'bpf_tcp_ca_kfunc_init', 'bpf_dummy_struct_ops_init', 'trace_eval_init'].join(',')}`,
];

/** A quiet serial line: each character costs time. With 0 in place of 1 the kernel would not even show why it panics. */
const QUIET = ['quiet', 'loglevel=1'];

const DEBUG = ['debug', 'loglevel=10', 'earlyprintk=serial,ttyS0', 'printk.time=1'];

/** @param debug show every kernel message, and the init's own steps */
export function kernelCommandLine(debug: boolean): string {
  // What stands behind `--` is for the init.
  return [...ALWAYS, ...(debug ? [...DEBUG, '--', '--debug'] : QUIET)].join(' ');
}
