/**
 * The shell scripts that start the systemd of the root, and processes beside it. They use the shell's own commands, and
 * unshare(1), mount(8), nsenter(1) and setpriv(1) of util-linux, which every root with systemd has: each program that is
 * executed takes an emulated processor tens of milliseconds.
 */

/** Everything of the sandbox for systemd, on the tmpfs that systemd sees too. */
export const SYSTEMD_DIRECTORY = '/run/virt-sandbox';

/**
 * A FIFO that systemd opens as soon as it takes jobs (a socket unit has it). Opening it for writing waits until then.
 */
export const UP_FIFO = `${SYSTEMD_DIRECTORY}/up`;

/** Has the process ID of systemd, as process 1 of the sandbox sees it. */
const PID_FILE = `${SYSTEMD_DIRECTORY}/pid`;

/** The group of systemd. The application stays outside: with processes of its own, a group cannot have controllers. */
export const SYSTEMD_CGROUP = '/sys/fs/cgroup/systemd';

export const START_SCRIPT = `${SYSTEMD_DIRECTORY}/start`;
const ENTER_SCRIPT = `${SYSTEMD_DIRECTORY}/enter`;
/** An empty directory, which covers others. */
export const EMPTY = `${SYSTEMD_DIRECTORY}/empty`;
export const HOSTNAME = `${SYSTEMD_DIRECTORY}/hostname`;
/** Another /proc of a container. */
export const WHOLE_PROC = `${SYSTEMD_DIRECTORY}/proc`;
export const MACHINE_ID = `${SYSTEMD_DIRECTORY}/machine-id`;

/** SIGRTMIN+3, which asks systemd to halt. A shell has no name for it. */
const HALT = 37;

/** SIGRTMIN+13: systemd waits for no unit, and ends all processes by SIGTERM, then SIGKILL. SIGTERM executes it again. */
export const HALT_NOW = 47;

/** Whether lines of the kernel have a time. */
const PRINTK_TIME = '/sys/module/printk/parameters/time';

/** What the status of systemd is when it has halted or powered off: the kernel ends process 1 by SIGINT. reboot(2) */
const HALTED = 130;

/** Where systemd is. The first is in a root whose /lib is no link to /usr/lib, too. */
export const SYSTEMD_PATHS = ['/usr/lib/systemd/systemd', '/lib/systemd/systemd'] as const;

/** Where /lib is no link to /usr/lib, packages may have their units here. */
const UNMERGED_UNITS = '/lib/systemd/system';

/** Where systemd looks for units, the first one counts: systemd.unit(5) */
export const UNIT_DIRECTORIES = [
  '/etc/systemd/system',
  '/run/systemd/system',
  '/usr/local/lib/systemd/system',
  '/usr/lib/systemd/system',
  UNMERGED_UNITS,
] as const;

/**
 * The application: it starts systemd as the first process of a PID namespace, hands on that it is to end, and ends with
 * its status. unshare(1) has made the namespace, which only children of the shell are in.
 */
export function startScript(): string {
  return `(
	echo 0 >${SYSTEMD_CGROUP}/cgroup.procs
	exec unshare --cgroup --mount --mount-proc /bin/sh ${ENTER_SCRIPT} "$@"
) &
systemd=$!
halt() {
	trap : TERM HUP INT ${HALT}
	# The trap of another signal ends the wait, and not the opening itself.
	: >${UP_FIFO} &
	opening=$!
	while kill -0 $opening 2>/dev/null; do wait $opening; done
	[ -n "$now" ] || kill -${HALT} $systemd 2>/dev/null
}
halt_now() {
	now=yes
	kill -${HALT_NOW} $systemd 2>/dev/null
	# It may never take jobs. With a reader nobody waits for that, also who has not begun to.
	[ ! -p ${UP_FIFO} ] || exec 8<>${UP_FIFO}
}
now=
trap halt TERM HUP INT ${HALT}
trap halt_now ${HALT_NOW}
# Who sees the file may send a signal.
echo $systemd >${PID_FILE}
while
	wait $systemd
	status=$?
	# A signal ends the wait, too.
	kill -0 $systemd 2>/dev/null
do :; done
# Of a wait that a signal has ended as systemd ended, it knows the signal alone: the next one knows the rest.
wait $systemd
last=$?
case $last in
127) ;;
# bash may have lost it, where a signal came just then: all signals that it gets ask systemd to halt.
-1) status=${HALTED} ;;
*) status=$last ;;
esac
[ $status = ${HALTED} ] && status=0
exit $status
`;
}

/**
 * Becomes systemd. Here are the mounts that it alone sees. mount(8) makes all of them in one run; it passes over one
 * whose source and target are mounted already, hence sources with a name of ours.
 * @param hasUnits only those units are started, so nothing that a directory of the root wants
 * @param ownsSys systemd may mount /sys; in a container it is read-only already
 */
export function enterScript(hasUnits: boolean, ownsSys: boolean): string {
  const own = [
    ...(ownsSys ? ['echo "virt-sandbox /sys sysfs ro,nosuid,nodev,noexec 0 0"'] : []),
    'echo "virt-sandbox /sys/fs/cgroup cgroup2 nosuid,nodev,noexec 0 0"',
    // proc_pid_stat(5): the number of the terminal, whose minor part is in two pieces.
    'read -r _ _ _ _ _ _ tty _ </proc/self/stat',
    'echo "/dev/pts/$((tty & 255 | tty >> 12 & 0xfff00)) /dev/console none bind 0 0"',
    `[ ! -f /etc/machine-id ] || echo "${MACHINE_ID} /etc/machine-id none bind 0 0"`,
    // Else journald writes the time since the boot in front of each line for the console, as the kernel does.
    `[ ! -f ${PRINTK_TIME} ] || echo "/dev/null ${PRINTK_TIME} none bind 0 0"`,
    // Nothing of what the host mounts is here, and a systemd waits for devices.
    '[ ! -f /etc/fstab ] || echo "/dev/null /etc/fstab none bind 0 0"',
    `[ ! -f /etc/hostname ] || echo "${HOSTNAME} /etc/hostname none bind 0 0"`,
  ];
  return `cd /
{
${own.map((line) => `\t${line}\n`).join('')}${hasUnits ? COVER_WANTS : ''}} >${SYSTEMD_DIRECTORY}/fstab
mount --all --fstab ${SYSTEMD_DIRECTORY}/fstab
for systemd in ${SYSTEMD_PATHS.join(' ')}; do
	[ ! -x $systemd ] || exec $systemd "$@"
done
echo "there is no systemd in the root" >&2
exit 127
`;
}

/** A directory that is covered by its other path already needs no second mount. */
const COVER_WANTS = `\tfor wants in ${UNIT_DIRECTORIES.flatMap((path) => [`${path}/*.wants`, `${path}/*.requires`]).join(' ')}; do
		case $wants in ${UNMERGED_UNITS}/*) [ ! "$wants" -ef "/usr$wants" ] || continue ;; esac
		[ ! -d "$wants" ] || echo "${EMPTY} $wants none bind 0 0"
	done
`;

/** The files of the scripts. */
export function scriptFiles(hasUnits: boolean, ownsSys: boolean): Readonly<Record<string, string>> {
  return { [START_SCRIPT]: startScript(), [ENTER_SCRIPT]: enterScript(hasUnits, ownsSys) };
}

/** Waits until systemd is up, and enters its namespaces. The words behind it are those of `sh -c` there. */
const ENTER_NAMESPACES = `: >${UP_FIFO} && read -r systemd <${PID_FILE} &&
exec nsenter --no-fork --target "$systemd" --pid --mount --cgroup -- /bin/sh -c "$@"`;

/**
 * Runs a command, which is in the PID namespace as this shell is not. Signals are for the whole process group: those
 * that the command may handle must not end this shell before it.
 */
const RUN = `trap : HUP INT QUIT TERM USR1 USR2 ALRM
cd -- "$1" 2>/dev/null || { [ -z "$2" ] && cd /; } || { echo "$1: this is no directory that can be entered" >&2; exit 126; }
shift 2
"$@"
exit $?`;

/**
 * The command line that runs a command beside systemd, as root.
 * @param cwd where; it may be missing unless `needsCwd`
 */
export function besideSystemd(command: readonly string[], cwd: string, needsCwd: boolean): string[] {
  return ['/bin/sh', '-c', ENTER_NAMESPACES, 'sh', RUN, 'sh', cwd, needsCwd ? 'needed' : '', ...command];
}

/** The command line by which root starts a command as another user, who gets no capabilities. */
export function asUser(
  command: readonly string[],
  { uid, gid, groups }: { readonly uid: number; readonly gid: number; readonly groups: readonly number[] },
): string[] {
  const member = groups.length === 0 ? '--clear-groups' : `--groups=${groups.join(',')}`;
  const without = ['--bounding-set=-all', '--inh-caps=-all', '--no-new-privs'];
  return ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, member, ...without, '--', ...command];
}
