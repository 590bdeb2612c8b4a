/** Makes ready what a compositor needs: its devices, its files, and the directory of the user's sockets. */
import { basename } from 'node:path';
import type { Guest } from '../../../src/protocol/operations.js';
import { WriteFlag } from '../../../src/protocol/wire.js';
import { succeeds } from '../attempt.js';
import type { GuestConfig, GuestScreen } from '../config.js';
import { MS_NODEV, MS_NOEXEC, MS_NOSUID, mountOf } from '../step.js';
import {
  COMPOSITORS,
  type Compositor,
  type CompositorStart,
  OWN_DIRECTORY,
  UDEV_DIRECTORY,
  USUAL,
} from './compositors.js';
import { giveNodes } from './nodes.js';

/** What the root lacks, and would need. */
export interface MissingCompositor {
  readonly missing: string;
  /** Packages of Debian, one entry for each compositor that could serve. */
  readonly packages: readonly string[];
}

/** What QEMU's card calls the screen. */
const CONNECTOR = 'Virtual-1';

/** A screen to start a compositor on. */
export interface ReadyScreen {
  /** Undefined: the application draws by itself. */
  readonly compositor: (CompositorStart & Pick<Compositor, 'name'>) | undefined;
  /** Variables of the application. */
  readonly environment: Readonly<Record<string, string>>;
  /** Path of what the card says of the screen. */
  readonly edid: string;
}

/**
 * Call it when everything is mounted.
 * @throws {OperationError} if a device is missing, or a file cannot be made
 */
export async function prepareScreen(
  guest: Guest,
  config: GuestConfig,
  { compositor: wanted }: GuestScreen,
): Promise<ReadyScreen | MissingCompositor> {
  const { uid, gid } = config.identity;
  const runtime = `${OWN_DIRECTORY}/user`;
  const [nodes, found] = await Promise.all([
    giveNodes(guest, config),
    wanted === 'none' ? undefined : findCompositor(guest, wanted === 'auto' ? USUAL : [wanted]),
    guest.call({ op: 'mkdir', path: runtime, mode: 0o700 }),
    guest.call({ op: 'chown', path: runtime, uid, gid }),
    guest.call({ op: 'mkdir', path: UDEV_DIRECTORY, mode: 0o755 }),
    guest.call(mountOf('tmpfs', UDEV_DIRECTORY, 'tmpfs', MS_NOSUID | MS_NODEV | MS_NOEXEC, 'mode=755,size=64k')),
    guest.call({ op: 'mkdir', path: '/tmp/.X11-unix', mode: 0o1777 }),
  ]);
  if (found !== undefined && 'missing' in found) return found;
  const environment = { XDG_RUNTIME_DIR: runtime };
  const edid = `/sys/class/drm/${basename(nodes.card.path)}-${CONNECTOR}/edid`;
  if (found === undefined) return { compositor: undefined, environment, edid };
  const start = found.compositor.start(found.program, nodes, runtime);
  await Promise.all(
    start.files.map(({ path, text }) =>
      guest.call({
        op: 'writeFile',
        path,
        mode: 0o644,
        flags: WriteFlag.PARENTS,
        data: new TextEncoder().encode(text),
      }),
    ),
  );
  return {
    compositor: { ...start, name: found.compositor.name, environment: { ...environment, ...start.environment } },
    environment: { ...environment, ...start.variables },
    edid,
  };
}

/** The first that the root has, whole. */
async function findCompositor(
  guest: Guest,
  names: readonly Compositor['name'][],
): Promise<{ readonly compositor: Compositor; readonly program: string } | MissingCompositor> {
  const exists = (path: string) => succeeds(guest, { op: 'stat', path, follow: true });
  const oneOf = async (paths: readonly string[]) => {
    const there = await Promise.all(paths.map(exists));
    return paths.find((_, index) => there[index]);
  };
  const looked = await Promise.all(
    names.map(async (name) => {
      const compositor = COMPOSITORS[name];
      const [program, ...needs] = await Promise.all([compositor.programs, ...compositor.needs].map(oneOf));
      const lacks = compositor.needs.find((_, index) => needs[index] === undefined)?.[0];
      return { compositor, program, lacks };
    }),
  );
  for (const { compositor, program, lacks } of looked)
    if (program !== undefined && lacks === undefined) return { compositor, program };
  const partly = looked.find(({ program }) => program !== undefined);
  return {
    missing: partly?.lacks ?? looked.map(({ compositor: { name } }) => name).join(' and '),
    packages: (partly === undefined ? looked : [partly]).map(({ compositor: { packages } }) => packages),
  };
}

/** What the application gets of the displays that a compositor has told: `wayland-0 :0`, or `0` of Xorg. */
export function displayVariables(name: Compositor['name'], line: string): Readonly<Record<string, string>> {
  if (name === 'xorg') return { DISPLAY: `:${line.trim()}`, XDG_SESSION_TYPE: 'x11' };
  const [wayland = '', x11 = ''] = line.trimEnd().split(' ');
  return { WAYLAND_DISPLAY: wayland, ...(x11 === '' ? {} : { DISPLAY: x11 }), XDG_SESSION_TYPE: 'wayland' };
}

/** Where programs talk to what has told these variables. */
export function displaySocket(name: Compositor['name'], variables: Readonly<Record<string, string>>): string {
  if (name === 'xorg') return `/tmp/.X11-unix/X${variables['DISPLAY']?.slice(1)}`;
  return `${OWN_DIRECTORY}/user/${variables['WAYLAND_DISPLAY']}`;
}
