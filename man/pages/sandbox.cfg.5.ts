/** sandbox.cfg(5): a sandbox as a file. */

import type { Section } from '../program-description.js';
import { type Edition, page, sections } from './page-layout.js';

/** A command line, and the file that it writes. */
export const EXAMPLE = {
  options: ['-S', 'nobody', '-m', 'ram:/work=64M', '--memory', '1G'],
  command: '/bin/date',
  kernel: '6.12.118+deb13-amd64',
  file: `[api]
class=GVirSandboxConfigInteractive
version=0.8.0

[core]
name=sandbox
root=/
arch=x86_64
kernrelease=6.12.118+deb13-amd64
shell=false
debug=false
verbose=false

[identity]
uid=65534
gid=65534
username=nobody
homedir=/nonexistent

[mount.0]
type=GVirSandboxConfigMountRam
target=/work
usage=67108864

[security]
dynamic=true

[interactive]
tty=false

[command]
argv.0=/bin/date

[machine]
memory=1073741824`,
} as const;

const BODY: readonly Section[] = [
  {
    title: 'Description',
    body: [
      'A file that describes a sandbox. `virt-sandbox --save-config` writes it, `virt-sandbox --config` runs it. The format is that of libvirt-sandbox 0.8: the same command line gives the same file, and each program reads the files of the other. What only virt-sandbox knows has keys and groups of its own. They are in the file only if they differ from the default.',
      'The file is a key file of GLib. A group is a name in brackets; below it are lines of *key*`=`*value*. A line that begins with `#` is a comment. In a value `\\n` is a line feed, `\\r` a carriage return, `\\t` a tab, `\\s` a space (needed only at the beginning), and `\\\\` a backslash. A boolean is `true` or `false`. The file is UTF-8.',
      'Groups with a number in the name are numbered from 0 without a gap. Reading a file and writing it again gives the same bytes.',
    ],
  },
  {
    title: 'Groups',
    body: [
      {
        terms: [
          [
            '`[api]`',
            '`class`, required: `GVirSandboxConfigInteractive`, or for a service `GVirSandboxConfigServiceGeneric` or `GVirSandboxConfigServiceSystemd`. `version`: the version of the format, `0.8.0`.',
          ],
          [
            '`[core]`',
            '`name`: `sandbox` means a unique name at each run. `uuid`. `root`, default `/`: a directory, or an image as `--root` of virt-sandbox(1) names it. `arch`, default that of the host. `kernrelease`: the version of the kernel; a written file always has it. `kernpath`. `kmodpath`. `shell`, `debug`, `verbose`: default `false`. `cwd`.',
          ],
          [
            '`[identity]`',
            '`uid`, `gid`, `username`, `homedir`: all of them or none. Without the group the command runs as the caller. `groups`: numbers, each followed by `;`; the default is the groups of the user on the host. `privileged`: whether the command keeps every capability. The default is `true` for `root` with uid 0, as in libvirt-sandbox, else `false`.',
          ],
          [
            '`[mount.`*N*`]`',
            '`type`: `GVirSandboxConfigMountHostBind`, `GVirSandboxConfigMountHostImage`, `GVirSandboxConfigMountGuestBind` or `GVirSandboxConfigMountRam`. `target`. `source`: may be empty for a `HostBind`. `format`: for a `HostImage`. `usage`: bytes, for a `Ram`. `readonly`: for a `HostBind` and a `HostImage`, default `false`.',
          ],
          [
            '`[mount.`*N*`.include.`*M*`]`',
            'A copy. `src`: its path on the host. `dst`: its path inside, without the target of mount *N* before it. The copy goes into the mount with the longest target above it.',
          ],
          ['`[env.`*N*`]`', '`key` and `value`.'],
          ['`[disk.`*N*`]`', '`type`: `file` or `block`. `source`. `tag`. `format`. `readonly`, default `false`.'],
          [
            '`[network.`*N*`]`',
            '`dhcp`, default `true`. `source`: a network of libvirt. `mac`. `addresses`, `routes`: the number of groups of each kind. `filter`: the name of a network filter. `host-loopback`: whether user networking leads to the services of the host, default `false`.',
          ],
          [
            '`[network.`*N*`.address.`*M*`]`',
            '`primary`: the address. `broadcast`. `prefix`: default 24 for IPv4, 64 for IPv6.',
          ],
          ['`[network.`*N*`.route.`*M*`]`', '`prefix`. `gateway`. `target`.'],
          ['`[network.`*N*`.filter]`', 'The parameters of the filter, one key each.'],
          [
            '`[root]`',
            'What is asked of an image that is the root: `pull`, `platform`, `authfile`, `tlsverify` (default `true`), `entrypoint`, `user`, `publishall` (default `false`), as the options of these names. `manifest` is the digest of the image that is meant, whatever its name means by now: `virt-sandbox-service create` and `upgrade` write it. Without `[command]` the image’s own is run, and `[identity]` has no meaning.',
          ],
          [
            '`[overlay]`',
            '`type`: `memory` makes the root writable until the end. `directory` and `image` keep what is written in the directory or the disk image `path`. The default is a read-only root.',
          ],
          [
            '`[graphics]`',
            'A screen, as `--graphics` of virt-sandbox(1): `viewers`: `vnc`, `spice`, `none` or `xvnc`, default `vnc`. `size`: default `1280x800`. `compositor`: `auto`, `cage`, `xorg`, `weston` or `none`, default `auto`. `resize`: `on` or `off`, default `on`. `listen`: `127.0.0.1:`*PORT* or `[::1]:`*PORT*, default none. `clipboard`: `none`, `host-to-guest` or `both`, as `--clipboard`, default `none`. Without the group there is no screen.',
          ],
          [
            '`[security]`',
            '`label`. `dynamic`, default `true`. `inherit`: whether the sandbox gets the label of the caller, default `false`. `userns`: whether the command may create user namespaces, default `false`.',
          ],
          [
            '`[hide]`',
            '`secrets`: whether the places of keys below the home directory are hidden, default `true`. `path.0`, `path.1` and so on: more paths to hide.',
          ],
          ['`[home]`', '`type`: `tmp`, `host` or `directory`. `path`: the directory of the host. See `--home`.'],
          ['`[publish]`', '`port.0`, `port.1` and so on: ports, as values of `--publish`.'],
          ['`[interactive]`', '`tty`: whether standard input was a terminal. Each run decides that anew.'],
          ['`[command]`', '`argv.0`, `argv.1` and so on. The default is `/bin/sh`.'],
          [
            '`[service]`',
            '`bootTarget`: the target of systemd, default `multi-user.target`. The other keys are those of virt-sandbox-service(1): `unit.0`, `unit.1` and so on: units that systemd starts, with what they need and nothing else. `connect`: the URI of libvirt. `restart`: `no`, `on-failure` or `always`, default `no`. `autostart`: whether the systemd of the host starts it, default `false`. `health`: words for a shell inside. `healthinterval`: milliseconds between two checks, default 30000. `starttimeout` and `stoptimeout`: milliseconds that it may take to be ready, default 120000, and to end, default 30000. `package.0`, `copied.0` and so on: packages that were looked at, and files that were copied, when it was made.',
          ],
          [
            '`[machine]`',
            '`memory`: bytes, default 512 MiB. `vcpus`, default 1. `acceleration`: `auto`, `kvm` or `tcg`, default `auto`. `requirekvm`: whether to start nothing but a machine under KVM, default `false`. `nestedkvm`: whether the machine may run machines under KVM itself, default `false`. `sound`: whether it has a sound card, default `false`. `boot`: `auto`, `cold` or `warm`, default `auto`. `image`, `profile`: as the options of these names. `rootfs`: `auto`, `9p` or `virtiofs`, default `auto`. `rootcache`: `auto`, `never` or `always`, default `auto`. `boottimeout`: milliseconds, default 60000.',
          ],
          [
            '`[tuning]`',
            '`cpushares`, `cpupin`, `cpuquota`, `cpuperiod`, `cpuscheduler`, `numanodes`, `blockweight`, `iothreads`: as the options of these names. `memorylimit`, `memorysoftlimit`, `memoryswaplimit`: bytes. `hugepages`: `default`, or bytes.',
          ],
          [
            '`[tuning.numa.`*N*`]`',
            '`node`, `cpus` and `hostnodes`: as in `--numa`, where the last is `host`. `memory`: bytes.',
          ],
          ['`[tuning.disk.`*N*`]`', '`tag`, and limits under the names of `--disk-limit`.'],
          ['`[tuning.network.`*N*`]`', '`index`, and limits under the names of `--net-limit`.'],
        ],
      },
    ],
  },
  {
    title: 'Examples',
    body: [
      `\`virt-sandbox ${EXAMPLE.options.join(' ')} --save-config job.cfg -- ${EXAMPLE.command}\` writes:`,
      {
        block: EXAMPLE.file,
      },
    ],
  },
  { title: 'See also', body: ['virt-sandbox(1)'] },
];

export function sandboxCfgPage(edition: Edition): string {
  return page('sandbox.cfg', 5, 'a sandbox as a file', edition, '*.cfg', sections(BODY));
}
