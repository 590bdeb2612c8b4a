/** System calls that a container refuses, as shell commands that need perl. */

/** Numbers of <asm/unistd_64.h>. */
const SYSCALL = {
  socket: 41,
  clone: 56,
  personality: 135,
  add_key: 248,
  request_key: 249,
  keyctl: 250,
  unshare: 272,
  perf_event_open: 298,
  userfaultfd: 323,
  io_uring_setup: 425,
  clone3: 435,
} as const;
const CLONE_NEWUSER = 0x10000000;
const SIGCHLD = 17;

/** Says `done`, or why the kernel refuses. */
export const perl = (code: string) => `perl -e 'my $result = do { ${code} }; print $result < 0 ? "$!" : "done"'`;
export const call = (name: keyof typeof SYSCALL, ...args: readonly (string | number)[]) =>
  perl(`syscall(${[SYSCALL[name], ...args].join(', ')})`);

/** Calls that work for any user of the host, or get as far as their arguments. */
export const CALLS = {
  keyring: call('keyctl', 0, -3, 1),
  key: call('add_key', 'my $type = "user"', 'my $name = "x"', 'my $value = "y"', 1, -2),
  profile: call('perf_event_open', 0, 0, -1, -1, 0),
  faults: call('userfaultfd', 1),
  namespace: call('unshare', CLONE_NEWUSER),
  cloned: perl(`my $pid = syscall(${SYSCALL.clone}, ${CLONE_NEWUSER + SIGCHLD}, 0, 0, 0, 0); exit if $pid == 0; $pid`),
  layout: call('personality', 0x0040000),
  typing: perl(`my $key = "x"; open(my $zero, "<", "/dev/zero"); defined ioctl($zero, 0x5412, $key) ? 0 : -1`),
} as const;

/** Calls that an older kernel lacks too, so programs do without. */
export const MISSING = {
  ring: call('io_uring_setup', 1, 'my $parameters = "\\0" x 120'),
  clone3: call('clone3', 0, 0),
} as const;

/** Families of sockets that load modules of the host, or lead to the hypervisor. */
export const FAMILIES = {
  rds: call('socket', 21, 5, 0),
  tipc: call('socket', 30, 1, 0),
  alg: call('socket', 38, 5, 0),
  hypervisor: call('socket', 40, 1, 0),
} as const;
