/** The options of virt-sandbox(1): the name of each value, its completion, and the text of the page. */
import type { options } from '../../src/cli/sandbox-options.js';
import type { Detail } from '../program-description.js';
import { bootDetails } from './virt-sandbox.1-boot-options.js';
import { graphics, view } from './virt-sandbox.1-graphics.js';
import { home } from './virt-sandbox.1-home.js';
import { rootDetails } from './virt-sandbox.1-root-options.js';
import { storageDetails } from './virt-sandbox.1-storage-options.js';
import { tuningDetails } from './virt-sandbox.1-tuning-options.js';

/** The compiler rejects an option without an entry. */
export const details = {
  connect: {
    value: 'URI',
    complete: { words: ['qemu:///system', 'qemu:///session', 'qemu:///embed', 'lxc:///'] },
    text: [
      'Selects the libvirt driver.',
      {
        terms: [
          [
            '`qemu:///system`',
            'A machine, started by the system daemon. For root QEMU runs as a user of its own, one for each sandbox.',
          ],
          [
            '`qemu:///session`',
            'A machine, started by a daemon of the calling user. libvirt starts this daemon on demand.',
          ],
          ['`qemu:///embed`', 'A machine, started by libvirt’s embedded driver. It needs no daemon.'],
          ['`lxc:///`', 'A container, started by the system daemon. It shares the kernel of the host.'],
        ],
      },
      'The default is LIBVIRT_DEFAULT_URI, then `uri_default` in libvirt’s own libvirt.conf (*/etc/libvirt/libvirt.conf* for root, *~/.config/libvirt/libvirt.conf* for other users).',
      'Without either, virt-sandbox runs a machine. Root uses the system daemon if it answers, another user the user’s own daemon. If no daemon answers, virt-sandbox uses the embedded driver.',
    ],
  },
  name: {
    value: 'NAME',
    text: [
      'Names the libvirt domain. The name is also the host name inside, and the name of the state directory. Two running sandboxes cannot have the same name. The default is a unique name, *sandbox-XXXXXXXX*.',
    ],
  },
  ...rootDetails,
  ...storageDetails,
  network: {
    value: 'KEY[=VALUE],...',
    complete: { list: ['dhcp', 'none', 'host-loopback', 'source=', 'mac=', 'address=', 'route=', 'filter='] },
    text: [
      'Adds a network interface. Without this option the sandbox has only `lo`.',
      {
        terms: [
          [
            '`dhcp`',
            'Asks for an address by DHCP. The root needs no DHCP client. `dhcp` excludes `address` and `route`.',
          ],
          ['`none`', 'Alone: no interface, not even those of a configuration file.'],
          [
            '`host-loopback`',
            'With user networking: lets the sandbox reach the services of the host, those on its loopback at 10.0.2.2 and fec0::2. Without it, it reaches none. One interface with it opens all.',
          ],
          [
            '`source=`*NETWORK*',
            'Connects to this network of libvirt. The default is user networking, which passt serves; in a container it is libvirt’s network `default`.',
          ],
          [
            '`mac=`*MAC*',
            'Sets the hardware address. The default is made from the names of the sandbox and of this host.',
          ],
          [
            '`address=`*IP*[`/`*PREFIX*][`%`*BROADCAST*]',
            'Adds an IPv4 or IPv6 address; repeats. *PREFIX* defaults to 24, for IPv6 to 64.',
          ],
          ['`route=`*NETWORK*[`/`*PREFIX*]`%`*GATEWAY*', 'Adds a route; repeats. It needs an address.'],
          ['`filter=`*NAME*', 'Applies this network filter of libvirt. On a machine it needs `source`.'],
          ['`filter.`*KEY*`=`*VALUE*', 'Sets a parameter of the filter. *KEY* is in upper case.'],
        ],
      },
      'An interface with neither `dhcp` nor `address` is brought up without an address.',
    ],
  },
  publish: {
    value: '[[ADDRESS:][HOST]:]GUEST[/udp]',
    text: [
      'Makes the TCP port *GUEST* of the sandbox, with `/udp` the UDP port, the port *HOST* of *ADDRESS*, an IP address of this host; an IPv6 address is in brackets. The default is 127.0.0.1, which every user of this host reaches. With 0 or without *HOST* a free port is taken, and said on stderr. The sandbox needs no network for it: connections and datagrams are carried to its loopback. A port that is taken is an error before anything is started. The option repeats.',
    ],
  },
  security: {
    value: 'MODE[,label=LABEL]',
    complete: { words: ['dynamic', 'dynamic,label=', 'static', 'static,label=', 'inherit', 'inherit,label='] },
    text: [
      'Selects the SELinux or AppArmor label with which the host confines the sandbox. The default is `dynamic`.',
      {
        terms: [
          [
            '`dynamic`[`,label=`*LABEL*]',
            'libvirt makes a label for this sandbox alone. *LABEL* replaces the usual base; AppArmor takes none.',
          ],
          ['`static`[`,label=`*LABEL*]', 'Exactly this label. Without *LABEL*, the label of the caller.'],
          ['`inherit`', 'The label of the caller.'],
        ],
      },
    ],
  },
  env: {
    value: 'KEY[=VALUE]',
    text: [
      'Sets a variable inside. *VALUE* may be empty. Without `=` the variable gets its value from the caller’s environment; it must be set there. If a name comes twice, the later value counts. `--save-config` saves the value.',
    ],
  },
  graphics,
  view,
  clipboard: {
    value: 'WAY',
    text: [
      'Lets texts of the clipboard pass between viewers of VNC and the programs on the screen. It needs `--graphics=vnc`. *WAY* is `none`, the default, `host-to-guest`, or `both`. With `host-to-guest` the programs get what viewers copy, and viewers get nothing; with `both` they get what the programs copy, too. Viewers share their clipboard among themselves in any case. Texts have at most 1,000,000 bytes. The root must have xclip, and with cage or weston Xwayland.',
    ],
  },
  sound: {
    text: [
      'Gives the machine a sound card. What the command plays there is played by the sound server of the user who starts the sandbox: PulseAudio, or PipeWire with pipewire-pulse, at *pulse/native* in `XDG_RUNTIME_DIR`. Where none answers the sandbox is silent, and `-v` says why. The card has no microphone. Containers have no sound card.',
    ],
  },
  privileged: {
    text: [
      'Runs the command as root with every capability. The host’s root stays read-only. In a container (`lxc:///`) it is root of the host’s kernel, and no barrier. Without this option the command has no capability and cannot get one, not even as root. It excludes `--switchto`.',
    ],
  },
  userns: {
    text: [
      'Lets the command create user namespaces. Browsers and container tools need them for a sandbox of their own. A program has every capability in a user namespace that it creates, so it reaches more of the guest’s kernel. Without this option the command can create none; `--privileged` allows them.',
    ],
  },
  hide: {
    value: 'PATH|none',
    complete: 'file',
    text: [
      'Hides the file or directory *PATH* inside: in its place is an empty one. A link is followed. The option repeats. Hidden without it are the places below the home directory where programs keep keys, such as `~/.ssh` and `~/.aws`; `none` shows those. A mount on such a path is seen.',
    ],
  },
  home,
  switchto: {
    value: 'USER',
    complete: 'user',
    text: [
      'Runs the command as this user of the host, given by name or uid. The command gets the uid, gid, groups, name and home directory of this user. The default is the caller.',
    ],
  },
  cwd: {
    value: 'DIR',
    complete: 'directory',
    text: [
      'Sets the working directory inside. The default is the home directory, or `/` if the home directory is missing or closed to the user.',
    ],
  },
  shell: {
    text: [
      'Also serves root shells inside, for debugging. Open one from another terminal with `--attach`, or with `virsh console` on `qemu:///system` and `qemu:///session`.',
    ],
  },
  attach: {
    value: '[USER/]NAME',
    complete: 'sandbox',
    text: [
      'Opens a root shell in the running sandbox *NAME*, or runs *COMMAND* there as root. The sandbox must have been started with `--shell`, by the same user. Root names a sandbox of another user as *USER*`/`*NAME*. `--attach` starts no sandbox; of the other options it takes only `--verbose` and `--debug`.',
    ],
  },
  ...bootDetails,
  pool: {
    value: 'POOL',
    complete: 'pool',
    text: [
      'Takes a sandbox that waits in this pool, and runs the command in it. It is gone when the command ends. The options that `virt-sandbox-ctl pool create` was given decide what it is; only `--name`, `--env`, `--cwd`, `--switchto`, `--timeout`, `--publish`, `--detach`, `--verbose` and `--debug` go with `--pool`. `--switchto` names a user inside. See virt-sandbox-ctl(1).',
    ],
  },
  detach: {
    text: [
      'Starts the sandbox in the background, and prints its name when the command runs. A process of its own holds it, which outlives the shell and its terminal. The command reads end of file, and what it writes goes to a log of at most 16 MiB. Without a command the sandbox lives until it is stopped. Errors of the start are those of a start without it.',
    ],
  },
  timeout: {
    value: 'DURATION',
    text: [
      'Kills the process group of the command after this time, and ends with status 124. *DURATION* is a number with `ms`, `s`, `m` or `h`, or alone for seconds.',
    ],
  },
  'boot-timeout': {
    value: 'SECONDS',
    text: [
      'Gives up if the command has not started after this time. The default is 60 seconds. Time at a breakpoint does not count. What has failed before it executed anything may be tried otherwise, from another snapshot for example, and that has as long again.',
    ],
  },
  ...tuningDetails,
  config: {
    value: 'FILE',
    complete: 'file',
    text: [
      'Reads the sandbox from *FILE*, a sandbox.cfg(5). Other options change it: a value of a repeating option is added, any other option replaces what the file says. *COMMAND* replaces the command of the file.',
    ],
  },
  'save-config': {
    value: 'FILE',
    complete: 'file',
    text: [
      'Writes the sandbox to *FILE* and does not run it. `-` is standard output. The format is sandbox.cfg(5), as libvirt-sandbox 0.8 writes it. Only its owner can read a new file, since variables may hold secrets.',
    ],
  },
  'print-xml': { text: ['Prints the domain XML that libvirt would get, and exits.'] },
  'dry-run': {
    text: [
      'Finds or builds the boot image, says which image and why, what serves the root, and if the start would be warm, and exits.',
    ],
  },
  json: { text: ['With `--dry-run`: prints JSON.'] },
  verbose: {
    text: [
      'Says on standard error what is chosen and why: the connection, the kernel, the acceleration, a cold or warm start.',
    ],
  },
  debug: { text: ['Says what `--verbose` says, and each step with its time.'] },
} as const satisfies Readonly<Record<keyof typeof options, Detail>> & Readonly<Record<string, Detail>>;
