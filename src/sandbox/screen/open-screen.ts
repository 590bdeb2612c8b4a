/** Opens the screen of a sandbox, for a start. */
import type { GuestConfig } from '../../../init/common/config.js';
import type { Clipboard, Graphics } from '../../config/types.js';
import type { Monitor } from '../../libvirt/monitor.js';
import type { Channel } from '../../protocol/channel.js';
import type { LaunchOptions } from '../types.js';
import { MachineScreen } from './machine-screen.js';
import { shownBy } from './shown-by.js';
import { checkSpice } from './spice.js';
import type { HeldScreen } from './types.js';
import { ViewerPort } from './viewer-port.js';

export class ScreenStart {
  readonly #graphics: Graphics;
  readonly #clipboard: Clipboard;
  readonly #port: ViewerPort | undefined;

  private constructor(graphics: Graphics, clipboard: Clipboard, port: ViewerPort | undefined) {
    this.#graphics = graphics;
    this.#clipboard = clipboard;
    this.#port = port;
  }

  /**
   * Takes the port for viewers, if there is to be one: that comes before anything is started, since it may be another's.
   * @throws {SandboxError} as {@link ViewerPort.open}, and `spice-missing`
   */
  static async begin(graphics: Graphics, clipboard: Clipboard): Promise<ScreenStart> {
    if (graphics.viewers === 'spice') await checkSpice();
    return new ScreenStart(graphics, clipboard, graphics.listen && (await ViewerPort.open(graphics.listen)));
  }

  /**
   * @param monitor undefined: a container, whose screen needs none
   * @param guest with what was found of its screen
   * @throws {SandboxError} `screen-unusable`, `clipboard-unusable`
   */
  async open(
    monitor: Monitor | undefined,
    stateDirectory: string,
    channel: Channel,
    guest: GuestConfig,
    options: LaunchOptions,
  ): Promise<HeldScreen | undefined> {
    if (this.#graphics.viewers === 'xvnc') {
      const { XvncScreen, WHY_FIXED } = await import('./xvnc-screen.js');
      options.onChoice?.(`screen: it keeps its size: ${WHY_FIXED}`);
      return XvncScreen.open(channel, guest, this.#graphics, stateDirectory);
    }
    return monitor && this.#openOfMachine(monitor, stateDirectory, channel, guest, options);
  }

  async #openOfMachine(
    monitor: Monitor,
    stateDirectory: string,
    channel: Channel,
    guest: GuestConfig,
    { onWarning, onChoice }: LaunchOptions,
  ): Promise<MachineScreen> {
    const shown = shownBy(channel, guest, this.#graphics);
    const screen = await MachineScreen.open(monitor, this.#graphics, stateDirectory, { ...shown, port: this.#port });
    if (shown.whyFixed !== undefined) onChoice?.(`screen: it keeps its size: ${shown.whyFixed}`);
    void screen.follow(onWarning);
    const ways = this.#clipboard;
    const tool = guest.screen?.clipboard;
    if (ways === 'none' || typeof tool !== 'string') return screen;
    try {
      await screen.carryClipboard(channel, guest, tool, { ways, onWarning });
      return screen;
    } catch (error) {
      screen.close();
      throw error;
    }
  }

  /** Where the start fails. */
  giveUp(): void {
    this.#port?.close();
  }
}
