/** Makes ready what a compositor needs: its devices, its files, and the directory of the user's sockets. */
import { basename } from 'node:path';
import type { Guest } from '../../../src/protocol/operations.js';
import { WriteFlag } from '../../../src/protocol/wire.js';
import { succeeds } from '../attempt.js';
import type { GuestConfig, GuestScreen } from '../config.js';
import { MS_NODEV, MS_NOEXEC, MS_NOSUID, mountOf } from '../step.js';
import {
  CLIPBOARD_TOOL,
  COMPOSITORS,
  type Compositor,
  type CompositorName,
  type CompositorStart,
  type ScreenProgram,
  UDEV_DIRECTORY,
  USER_DIRECTORY,
  USUAL,
} from './compositors.js';
import { giveNodes } from './nodes.js';
import { XVNC, xvncWords } from './xvnc.js';

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
  /** Path of the program that reads and writes the clipboard; undefined: there is none, or none is wanted. */
  readonly clipboardTool: string | undefined;
  /** Undefined: the application draws by itself. */
  readonly compositor: (Omit<CompositorStart, 'files'> & Pick<ScreenProgram, 'name'>) | undefined;
  /** Variables of the application. */
  readonly environment: Readonly<Record<string, string>>;
  /** Path of what the card says of the screen; undefined: there is no card. */
  readonly edid: string | undefined;
}

/**
 * Call it when everything is mounted.
 * @throws {OperationError} if a device is missing, or a file cannot be made
 */
export async function prepareScreen(
  guest: Guest,
  config: GuestConfig,
  screen: GuestScreen,
): Promise<ReadyScreen | MissingCompositor> {
  const { compositor: wanted, clipboard } = screen;
  if (wanted === 'xvnc') return prepareXvnc(guest, config, screen);
  const [nodes, found, clipboardTool] = await Promise.all([
    giveNodes(guest, config),
    wanted === 'none' ? undefined : findProgram(guest, compositorsOf(wanted)),
    clipboard === undefined ? undefined : firstOf(guest, CLIPBOARD_TOOL.paths),
    makeDirectories(guest, config),
    guest.call({ op: 'mkdir', path: UDEV_DIRECTORY, mode: 0o755 }),
    guest.call(mountOf('tmpfs', UDEV_DIRECTORY, 'tmpfs', MS_NOSUID | MS_NODEV | MS_NOEXEC, 'mode=755,size=64k')),
  ]);
  if (found !== undefined && 'missing' in found) return found;
  const environment = { XDG_RUNTIME_DIR: USER_DIRECTORY };
  const edid = `/sys/class/drm/${basename(nodes.card.path)}-${CONNECTOR}/edid`;
  if (found === undefined) return { compositor: undefined, environment, edid, clipboardTool };
  const start = found.program.start(found.path, nodes, USER_DIRECTORY);
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
    compositor: { ...start, name: found.program.name, environment: { ...environment, ...start.environment } },
    environment: { ...environment, ...start.variables },
    edid,
    clipboardTool,
  };
}

/** It draws into memory, and so needs no device. */
async function prepareXvnc(
  guest: Guest,
  config: GuestConfig,
  size: Pick<GuestScreen, 'width' | 'height'>,
): Promise<ReadyScreen | MissingCompositor> {
  const [found] = await Promise.all([findProgram(guest, [XVNC]), makeDirectories(guest, config)]);
  if ('missing' in found) return found;
  const environment = { XDG_RUNTIME_DIR: USER_DIRECTORY };
  const argv = xvncWords(found.path, size, config.hostname);
  return { compositor: { name: 'xvnc', argv, environment }, environment, edid: undefined, clipboardTool: undefined };
}

/** Of the user's sockets, and of those of X11. */
function makeDirectories(guest: Guest, { identity: { uid, gid } }: Pick<GuestConfig, 'identity'>): Promise<unknown> {
  return Promise.all([
    guest.call({ op: 'mkdir', path: USER_DIRECTORY, mode: 0o700 }),
    guest.call({ op: 'chown', path: USER_DIRECTORY, uid, gid }),
    guest.call({ op: 'mkdir', path: '/tmp/.X11-unix', mode: 0o1777 }),
  ]);
}

function compositorsOf(wanted: 'auto' | CompositorName): readonly Compositor[] {
  return (wanted === 'auto' ? USUAL : [wanted]).map((name) => COMPOSITORS[name]);
}

/** The first that the root has, whole. */
async function findProgram<T extends ScreenProgram>(
  guest: Guest,
  candidates: readonly T[],
): Promise<{ readonly program: T; readonly path: string } | MissingCompositor> {
  const oneOf = (paths: readonly string[]) => firstOf(guest, paths);
  const looked = await Promise.all(
    candidates.map(async (program) => {
      const [path, ...needs] = await Promise.all([program.programs, ...program.needs].map(oneOf));
      const lacks = program.needs.find((_, index) => needs[index] === undefined)?.[0];
      return { program, path, lacks };
    }),
  );
  for (const { program, path, lacks } of looked)
    if (path !== undefined && lacks === undefined) return { program, path };
  const partly = looked.find(({ path }) => path !== undefined);
  return {
    missing: partly?.lacks ?? looked.map(({ program: { name } }) => name).join(' and '),
    packages: (partly === undefined ? looked : [partly]).map(({ program: { packages } }) => packages),
  };
}

/** The first path at which there is something. */
async function firstOf(guest: Guest, paths: readonly string[]): Promise<string | undefined> {
  const there = await Promise.all(paths.map((path) => succeeds(guest, { op: 'stat', path, follow: true })));
  return paths.find((_, index) => there[index]);
}

/** What the application gets of the displays that a compositor has told: `wayland-0 :0`, or `0` of an X server. */
export function displayVariables(name: ScreenProgram['name'], line: string): Readonly<Record<string, string>> {
  if (name === 'xorg' || name === 'xvnc') return { DISPLAY: `:${line.trim()}`, XDG_SESSION_TYPE: 'x11' };
  const [wayland = '', x11 = ''] = line.trimEnd().split(' ');
  return { WAYLAND_DISPLAY: wayland, ...(x11 === '' ? {} : { DISPLAY: x11 }), XDG_SESSION_TYPE: 'wayland' };
}

/** Where programs talk to what has told these variables. */
export function displaySocket(name: CompositorName, variables: Readonly<Record<string, string>>): string {
  return name === 'xorg' ? x11Socket(variables) : `${USER_DIRECTORY}/${variables['WAYLAND_DISPLAY']}`;
}

/** Where it starts Xwayland for who connects; undefined: its X server runs, or it has none. */
export function xwaylandSocket(name: CompositorName, variables: Readonly<Record<string, string>>): string | undefined {
  return name === 'xorg' || variables['DISPLAY'] === undefined ? undefined : x11Socket(variables);
}

function x11Socket(variables: Readonly<Record<string, string>>): string {
  return `/tmp/.X11-unix/X${variables['DISPLAY']?.slice(1)}`;
}
