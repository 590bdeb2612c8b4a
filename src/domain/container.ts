/**
 * A sandbox as a container of libvirt.
 *
 * https://libvirt.org/drvlxc.html, https://libvirt.org/formatdomain.html#container-boot
 */
import { type Element, EMPTY, toXml } from './xml.js';

/** Where a container sees this package's native programs until its init has moved to its root. */
export const CONTAINER_NATIVE = '/native';

/** A directory of the host that libvirt binds into the container before its init runs. */
export interface Bind {
  readonly directory: string;
  /** Absolute path in the container; libvirt makes it. */
  readonly target: string;
  readonly readOnly: boolean;
}

export interface ContainerOptions {
  readonly name: string;
  readonly uuid: string | undefined;
  /** The most that it may use, in bytes. */
  readonly memory: number;
  /** The directory that is its root until its init has moved to another; libvirt makes mount points in it that are missing. */
  readonly root: string;
  readonly binds: readonly Bind[];
  /** Path of the init in the container, and its arguments. */
  readonly init: readonly [string, ...string[]];
  /** `filesystem` elements beside the binds. */
  readonly filesystems?: readonly Element[];
  /** `disk` elements. */
  readonly disks?: readonly Element[];
  /** `interface` elements. */
  readonly interfaces?: readonly Element[];
  /** `seclabel` elements. */
  readonly securityLabels?: readonly Element[];
  /** The `cputune` element. */
  readonly cputune?: Element | undefined;
  /** The host's processors that it may run on, as libvirt writes them; undefined: all. */
  readonly cpuset?: string | undefined;
  /** Pseudo terminals, seen inside as /dev/tty1 and so on. */
  readonly consoles: number;
}

/** The domain, ready for virDomainCreateXML. */
export function containerXml(options: ContainerOptions): string {
  const [init, ...initArguments] = options.init;
  return toXml({
    domain: {
      '@type': 'lxc',
      name: options.name,
      uuid: options.uuid,
      memory: { '@unit': 'KiB', '#': Math.ceil(options.memory / 1024) },
      // libvirt wants one, and gives a container every processor.
      vcpu: { '@cpuset': options.cpuset, '#': 1 },
      cputune: options.cputune,
      os: {
        type: { '@arch': 'x86_64', '#': 'exe' },
        init,
        initarg: initArguments.map((argument) => ({ '#': argument })),
      },
      // Interfaces of its own even where it has none but the loopback.
      features: { privnet: EMPTY },
      on_poweroff: 'destroy',
      on_reboot: 'destroy',
      on_crash: 'destroy',
      devices: {
        filesystem: [
          filesystem({ directory: options.root, target: '/', readOnly: false }),
          ...options.binds.map(filesystem),
          ...(options.filesystems ?? []),
        ],
        disk: options.disks,
        interface: options.interfaces,
        console: Array.from({ length: options.consoles }, (_, port) => ({
          '@type': 'pty',
          target: { '@type': 'lxc', '@port': port },
        })),
      },
      seclabel: options.securityLabels,
    },
  });
}

function filesystem({ directory, target, readOnly }: Bind): Element {
  return {
    '@type': 'mount',
    '@accessmode': 'passthrough',
    source: { '@dir': directory },
    target: { '@dir': target },
    readonly: readOnly ? EMPTY : undefined,
  };
}
