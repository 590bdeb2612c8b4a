/** What shows programs on the screen of a sandbox, and whether it can give it another size. */
import type { GuestConfig } from '../../../init/common/config.js';
import type { Graphics } from '../../config/types.js';
import type { Channel } from '../../protocol/channel.js';
import { CompositorWatch } from './compositor-watch.js';
import type { ShownBy } from './machine-screen.js';
import { ScreenResizer } from './resizer.js';

/** @param guest with what was found of its screen */
export function shownBy(channel: Channel, guest: GuestConfig, { resize }: Graphics): ShownBy {
  const { pid, display } = guest.screen ?? {};
  const compositor = pid === undefined ? undefined : new CompositorWatch(channel, pid);
  if (resize === 'off') return { compositor, whyFixed: 'it was started with resize=off' };
  if (display === undefined) return { compositor, whyFixed: 'the application draws on it by itself' };
  if (display.compositor === 'weston')
    return { compositor, whyFixed: 'weston cannot give it another one; cage and xorg can (Debian: cage xwayland)' };
  return { compositor, resizer: new ScreenResizer(channel, guest, display) };
}
