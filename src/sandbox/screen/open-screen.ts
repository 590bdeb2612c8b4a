/** Opens the screen of a machine, for a start. */
import type { Graphics } from '../../config/types.js';
import type { Monitor } from '../../libvirt/monitor.js';
import type { Guest } from '../../protocol/operations.js';
import { CompositorWatch } from './compositor-watch.js';
import { MachineScreen } from './machine-screen.js';
import { checkSpice } from './spice.js';
import { ViewerPort } from './viewer-port.js';

export class ScreenStart {
  readonly #graphics: Graphics;
  readonly #port: ViewerPort | undefined;

  private constructor(graphics: Graphics, port: ViewerPort | undefined) {
    this.#graphics = graphics;
    this.#port = port;
  }

  /**
   * Takes the port for viewers, if there is to be one: that comes before anything is started, since it may be another's.
   * @throws {SandboxError} as {@link ViewerPort.open}, and `spice-missing`
   */
  static async begin(graphics: Graphics): Promise<ScreenStart> {
    if (graphics.viewers === 'spice') await checkSpice();
    return new ScreenStart(graphics, graphics.listen && (await ViewerPort.open(graphics.listen)));
  }

  /**
   * @param compositorPid inside; undefined: the application draws by itself
   * @throws {SandboxError} `screen-unusable`
   */
  open(
    monitor: Monitor,
    stateDirectory: string,
    guest: Guest,
    compositorPid: number | undefined,
  ): Promise<MachineScreen> {
    const compositor = compositorPid === undefined ? undefined : new CompositorWatch(guest, compositorPid);
    return MachineScreen.open(monitor, this.#graphics, stateDirectory, { compositor, port: this.#port });
  }

  /** Where the start fails. */
  giveUp(): void {
    this.#port?.close();
  }
}
