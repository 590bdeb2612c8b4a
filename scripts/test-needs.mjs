// What test files need before they run. Only this file knows it: the Makefile builds it, scripts/test.mjs starts it.
//
//   node scripts/test-needs.mjs [NAME…]   prints the programs that these tests need, as targets of the Makefile
import { readdirSync } from 'node:fs';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

/**
 * A file has the needs of every entry whose `path` its own path below test/ begins with; without an entry it has none.
 *
 * - `programs` have sanitizers; the Makefile builds them.
 * - `libvirt`: the tests talk to qemu:///system or lxc:///.
 * - `snapshots`: the tests start many machines, most of which need not boot.
 * - `user`: ordinary users start machines, too.
 * - `guestInit`: the tests start machines with the common init in the guest.
 * - `order`: files with a higher one take longer, and start sooner.
 * - `thorough`: it takes minutes, and others show most of it: `make test` runs it with THOROUGH=1, or by its name.
 */
const NEEDS = [
  { path: 'guest/', libvirt: true, snapshots: true, order: 2 },
  { path: 'guest/bake-guest-init', guestInit: true },
  { path: 'guest/bench-nested', thorough: true },
  { path: 'guest/bench-root', user: true },
  { path: 'guest/changed-share', user: true },
  { path: 'guest/copies', user: true },
  { path: 'guest/ctl.', user: true },
  { path: 'guest/detach-ways', user: true, guestInit: true },
  { path: 'guest/files', user: true },
  { path: 'guest/full-share', user: true },
  { path: 'guest/killed-daemon', user: true },
  { path: 'guest/clipboard', order: 3 },
  { path: 'guest/graphics', user: true, order: 3 },
  { path: 'guest/resize', order: 3 },
  { path: 'guest/xvnc', user: true, order: 3 },
  { path: 'guest/home', user: true },
  { path: 'guest/images.', user: true },
  { path: 'guest/images-kept', user: true },
  // Machines of libguestfs, one after the other.
  { path: 'guest/images-virt-builder', order: 3 },
  // Sandboxes in a sandbox, one after the other.
  { path: 'guest/apparmor', order: 3 },
  { path: 'guest/kvm.', order: 3 },
  { path: 'guest/selinux', order: 3, thorough: true },
  { path: 'guest/service-host-shutdown', order: 3, thorough: true },
  { path: 'guest/service-host-systemd', order: 3 },
  // Machines with systemd, emulated. lxc/service-units has the same of containers.
  { path: 'guest/service-units', order: 3, thorough: true },
  // Services that run are cloned and removed, again and again.
  { path: 'guest/service-clone-killed', order: 3 },
  { path: 'guest/service-delete-killed', order: 3 },
  { path: 'guest/service-live-killed', order: 3 },
  // libvirtd is killed at its calls, and a machine starts after each time. guest/service-image-daemon has some of it.
  { path: 'guest/service-daemon-killed', order: 3, thorough: true },
  { path: 'guest/lost-supervisor', user: true },
  { path: 'guest/manual-plan', user: true },
  { path: 'guest/many-at-once', user: true, order: 3 },
  { path: 'guest/mounts', user: true },
  { path: 'guest/names', user: true },
  { path: 'guest/network-user', user: true },
  { path: 'guest/outcome', user: true },
  { path: 'guest/overlay', user: true },
  { path: 'guest/pool.', user: true, order: 3 },
  { path: 'guest/posix', user: true },
  { path: 'guest/processes', user: true },
  { path: 'guest/publish', user: true },
  { path: 'guest/root-fs', user: true },
  { path: 'guest/root-server', user: true },
  { path: 'guest/service-of-user', user: true },
  { path: 'guest/service-export', user: true },
  { path: 'guest/session-daemon', user: true },
  { path: 'guest/sound', user: true, guestInit: true },
  { path: 'guest/stale', user: true },
  { path: 'guest/service-user-systemd', user: true },
  { path: 'guest/view-shared', user: true },
  { path: 'guest/warm.', guestInit: true },
  { path: 'guest/warm-shares', guestInit: true },
  { path: 'guest/warm-slots', guestInit: true, user: true },
  { path: 'hostile/', libvirt: true, snapshots: true, order: 2 },
  { path: 'hostile/file-server', user: true },
  { path: 'hostile/home', user: true },
  { path: 'hostile/host-network', user: true },
  { path: 'hostile/images.', user: true },
  { path: 'hostile/no-capability', user: true },
  { path: 'hostile/overlay', user: true },
  { path: 'hostile/root-share', user: true },
  { path: 'hostile/sound', user: true },
  { path: 'hostile/user-qemu', user: true },
  // More than a minute each: services are made, cloned and imported, again and again.
  { path: 'host/service-clone-killed', order: 3 },
  { path: 'host/service-create-killed', order: 3 },
  { path: 'host/service-image-', order: 3 },
  { path: 'host/service-import-killed', order: 3 },
  { path: 'host/service-killed', order: 3 },
  // A machine starts after each kill. host/service-upgrade-killed has it of a state in a directory.
  { path: 'host/service-other-image-killed', order: 3, thorough: true },
  { path: 'lxc/', libvirt: true, order: 1 },
  { path: 'lxc/service-clone-killed', order: 3 },
  { path: 'lxc/service-delete-killed', order: 3 },
  { path: 'lxc/service-live-killed', order: 3 },
  { path: 'fuzz/native-init', programs: ['init-asan', 'init-fuzz'] },
  // Both processors are busy with these for half a minute each.
  { path: 'fuzz/c.', programs: ['fuzz-c'], order: 3 },
  { path: 'fuzz/targets', order: 2 },
  { path: 'unit/init/native/', programs: ['init-asan', 'init-fuzz'] },
  { path: 'unit/sandbox/files/tree/', programs: ['init-asan'] },
  { path: 'unit/init/dhcp/', programs: ['dhcp-asan'] },
  { path: 'unit/init/netwall/', programs: ['netwall-asan'] },
  // Nearly a minute, most of it waits, beside what keeps a processor busy.
  { path: 'unit/init/supervisor/', order: 3 },
  { path: 'unit/init/common/guest', programs: ['init-asan'] },
];

/** @param {string} name the path of a test file below test/ */
export function needsOf(name) {
  const entries = NEEDS.filter(({ path }) => name.startsWith(path));
  return {
    programs: [...new Set(entries.flatMap(({ programs = [] }) => programs))],
    libvirt: entries.some(({ libvirt }) => libvirt === true),
    snapshots: entries.some(({ snapshots }) => snapshots === true),
    user: entries.some(({ user }) => user === true),
    guestInit: entries.some(({ guestInit }) => guestInit === true),
    order: Math.max(0, ...entries.map(({ order = 0 }) => order)),
    thorough: entries.some(({ thorough }) => thorough === true),
  };
}

/** True for what `make unit` runs: no machine, no daemon, no program with sanitizers. */
export function isQuick(name) {
  const { programs, libvirt } = needsOf(name);
  return name.startsWith('unit/') && programs.length === 0 && !libvirt;
}

/**
 * The files that the words of `ONLY` ask for. Without a word: all, but thorough ones only where they are wanted. A word
 * that is the name of a folder asks for that folder: `config` for unit/config/ and not for
 * guest/config-file.test.ts. Any other word asks for the files that have it in their path.
 * @param {readonly string[]} names paths below test/
 * @param {readonly string[]} only
 * @param {boolean} isThorough
 */
export function selected(names, only, isThorough = false) {
  if (only.length === 0) return names.filter((name) => isThorough || !needsOf(name).thorough);
  const chosen = only.map((word) => {
    const folder = `/${word.replace(/\/$/, '')}/`;
    const inside = names.filter((name) => `/${name}`.includes(folder));
    return new Set(inside.length > 0 ? inside : names.filter((name) => name.includes(word)));
  });
  return names.filter((name) => chosen.some((set) => set.has(name)));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const sources = fileURLToPath(new URL('../test', import.meta.url));
  const names = readdirSync(sources, { recursive: true }).filter((name) => name.endsWith('.test.ts'));
  const programs = selected(names, process.argv.slice(2)).flatMap((name) => needsOf(name).programs);
  process.stdout.write(`${[...new Set(programs)].sort().join(' ')}\n`);
}
