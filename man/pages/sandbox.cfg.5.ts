/** sandbox.cfg(5): a sandbox as a file. */

import type { Section } from '../program-description.js';
import { type Edition, page, sections } from './page-layout.js';

/** A command line and the file that it gives. */
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
      'A file that describes a sandbox. `virt-sandbox --save-config` writes one and `virt-sandbox --config` runs one. Its format is that of libvirt-sandbox 0.8: the same command line gives the same file, and each reads what the other writes. What only this program knows stands in keys and groups of its own, which are there only where they differ from the default.',
      'It is a key file as GLib knows them: groups in brackets, below them lines of *key*`=`*value*, and lines that begin with `#`, which are comments. In a value `\\n` is a line feed, `\\r` a carriage return, `\\t` a tab, `\\s` a space (needed only at its beginning), and `\\\\` a backslash. A boolean is `true` or `false`. The file is UTF-8.',
      'Groups with a number in their name are numbered from 0 without a gap. Reading a file and writing it again gives the same bytes.',
    ],
  },
  {
    title: 'Groups',
    body: [
      {
        terms: [
          [
            '`[api]`',
            '`class` is `GVirSandboxConfigInteractive`, or for a service `GVirSandboxConfigServiceGeneric` or `GVirSandboxConfigServiceSystemd`; it must be there. `version` is that of the format, `0.8.0`.',
          ],
          [
            '`[core]`',
            '`name`, where `sandbox` stands for none; `uuid`; `root`, default `/`; `arch`, default that of the host; `kernrelease`, the version of the kernel, which a written file always has; `kernpath`; `kmodpath`; `shell`, `debug` and `verbose`, default `false`; `cwd`.',
          ],
          [
            '`[identity]`',
            '`uid`, `gid`, `username` and `homedir`, all of them or none; without the group it is the caller. `groups`, numbers each with a `;` behind it, default those that the host gives the user. `privileged`, whether every capability is kept; default `true` for `root` with uid 0, which libvirt-sandbox does not take them from, and `false` for everybody else.',
          ],
          [
            '`[mount.`*N*`]`',
            '`type` is `GVirSandboxConfigMount` with `HostBind`, `HostImage`, `GuestBind` or `Ram` behind it; `target`; `source`, which for `HostBind` may be empty; `format` for `HostImage`; `usage` in bytes for `Ram`; `readonly` for `HostBind` and `HostImage`, default `false`.',
          ],
          [
            '`[mount.`*N*`.include.`*M*`]`',
            'A file that is copied: `dst` is what follows the target of the mount in its path, `src` its path on the host. It goes into the mount with the longest target above it.',
          ],
          ['`[env.`*N*`]`', '`key` and `value`.'],
          ['`[disk.`*N*`]`', '`type`, `file` or `block`; `source`; `tag`; `format`; `readonly`, default `false`.'],
          [
            '`[network.`*N*`]`',
            '`dhcp`, default `true`; `source`, a network of libvirt; `mac`; `addresses` and `routes`, how many of them there are; `filter`, the name of a network filter.',
          ],
          ['`[network.`*N*`.address.`*M*`]`', '`primary`; `broadcast`; `prefix`, default 24 for IPv4 and 64 for IPv6.'],
          ['`[network.`*N*`.route.`*M*`]`', '`prefix`; `gateway`; `target`.'],
          ['`[network.`*N*`.filter]`', 'The parameters of the filter.'],
          [
            '`[security]`',
            '`label`; `dynamic`, default `true`; `inherit`, which takes the label of the caller, default `false`.',
          ],
          ['`[interactive]`', '`tty`: whether standard input was a terminal. Whoever runs the file decides anew.'],
          ['`[command]`', '`argv.0`, `argv.1` and so on; default `/bin/sh`.'],
          ['`[service]`', '`bootTarget`, what systemd boots to, default `multi-user.target`.'],
          [
            '`[machine]`',
            '`memory` in bytes, default 512 MiB; `vcpus`, default 1; `acceleration`, `auto`, `kvm` or `tcg`; `boot`, `auto`, `cold` or `warm`; `image` and `profile` as the options of those names; `boottimeout` in milliseconds, default 60000.',
          ],
          ['`[tuning]`', '`cpushares`; `cpupin`.'],
          ['`[tuning.disk.`*N*`]`', '`tag`, and limits as `--disk-limit` names them.'],
          ['`[tuning.network.`*N*`]`', '`index`, and limits as `--net-limit` names them.'],
        ],
      },
    ],
  },
  {
    title: 'Examples',
    body: [
      `What \`virt-sandbox ${EXAMPLE.options.join(' ')} --save-config job.cfg -- ${EXAMPLE.command}\` writes:`,
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
