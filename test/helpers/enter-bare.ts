/**
 * Runs a command as one that has taken over a server of a sandbox's root would: in its namespaces, with its share. There
 * is no program in its root, so the attacker brings some: a root with the host's /usr beside the share, in a copy of the
 * mount namespace.
 */

/** The status where the attacker did not get there, which no command there has. */
export const NOT_ENTERED = 99;

/** $1: the server's process ID; $2, $3: user and group; $4: whether it has a user namespace; then the command. */
const SCRIPT = `use POSIX; $^F = 100; $SIG{__DIE__} = sub { warn @_; POSIX::_exit(${NOT_ENTERED}) };
my ($pid, $uid, $gid, $user, @command) = @ARGV;
my ($setns, $unshare, $mount) = @{{ x86_64 => [308, 272, 165], aarch64 => [268, 97, 40] }->{(POSIX::uname())[4]}};
my ($open_tree, $move_mount) = (428, 429);
sub call { my ($what, $call, @words) = @_; my $n = syscall($call, @words); $n >= 0 or die "$what: $!"; $n }
my $usr = call('open_tree', $open_tree, -100, '/usr', 1);
my %links = map { -l "/$_" ? ($_ => readlink "/$_") : () } qw(bin sbin lib lib64);
my %spaces = map { open(my $file, '<', "/proc/$pid/ns/$_") or die "$_: $!"; ($_ => $file) } qw(pid net ipc uts mnt user);
call($_, $setns, fileno($spaces{$_}), 0) for qw(pid net ipc uts mnt);
call('unshare', $unshare, 0x20000);
call('private', $mount, 'none', '/', 'none', 0x44000, 0);
my $share = call('open_tree', $open_tree, -100, '/share', 0x8001);
call('mount', $mount, 'none', '/share', 'tmpfs', 6, 0);
chdir '/share' or die $!; mkdir $_ or die $! for qw(usr share);
call('move_mount', $move_mount, $usr, '', -100, 'usr', 4);
call('move_mount', $move_mount, $share, '', -100, 'share', 4);
symlink $links{$_}, $_ for keys %links;
chroot '.' or die $!;
my $child = fork() // die $!;
if ($child == 0) {
  $( = $gid; $) = "$gid $gid"; POSIX::setgid($gid) or die $!; POSIX::setuid($uid) or die $!;
  call('user', $setns, fileno($spaces{user}), 0) if $user;
  POSIX::close($_) for 3 .. 100;
  $ENV{PATH} = '/usr/sbin:/usr/bin'; exec @command; die $!;
}
waitpid $child, 0; exit($? >> 8 || ($? & 127 ? 1 : 0));`;

export interface BareServer {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
  /** It has a user namespace, which is entered too, as its owner. */
  readonly hasUserNamespace?: boolean;
}

/** The words of a command that runs there. */
export function enterBare(
  { pid, uid, gid, hasUserNamespace = false }: BareServer,
  command: readonly string[],
): string[] {
  return ['perl', '-e', SCRIPT, `${pid}`, `${uid}`, `${gid}`, hasUserNamespace ? '1' : '', ...command];
}
