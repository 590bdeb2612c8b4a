/**
 * The page: shows the screen by noVNC, connects again when the connection is lost, and says what is the matter. What comes
 * from the server is put into texts only.
 */
import RFB from '@novnc/novnc';
import { BUSY, ENDED, REFUSED, STOPPED } from '../closings.js';
import type { PageSettings } from '../page-settings.js';
import { shareClipboard } from './clipboard.js';
import { newNonce, proofOf } from './proof.js';

const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 4000;
/** A server that says nothing for so long is no server of ours. */
const GREETING_MS = 10_000;

/** Of the page alone: what answered has not proved that it is the server. */
const STRANGER = -1;

type State = 'connecting' | 'connected' | 'over';

const element = (id: string): HTMLElement => {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no ${id}`);
  return found;
};

function show(state: State, message: string, short = message.toLowerCase()): void {
  document.body.dataset['state'] = state;
  element('message').textContent = message;
  element('state').textContent = short;
}

async function main(): Promise<void> {
  const answer = await fetch('settings.json');
  if (!answer.ok) throw new Error(`the server answers ${answer.status}`);
  const settings = (await answer.json()) as PageSettings;
  element('name').textContent = settings.name;
  document.title = `${settings.name} - virt-sandbox`;
  let wait = FIRST_WAIT_MS;
  for (;;) {
    const { code, wasConnected } = await connect(settings);
    const over = OVER.get(code);
    if (over !== undefined) {
      show('over', over(settings.name), 'not connected');
      return;
    }
    if (wasConnected) wait = FIRST_WAIT_MS;
    show(
      'connecting',
      code === BUSY ? 'Too many viewers are connected. Trying again' : 'Connection lost. Reconnecting',
    );
    await new Promise((resolve) => setTimeout(resolve, wait));
    wait = Math.min(wait * 2, LONGEST_WAIT_MS);
  }
}

/** After these it does not connect again. */
const OVER: ReadonlyMap<number, (name: string) => string> = new Map([
  [ENDED, (name: string) => `The sandbox ${name} has ended.`],
  [STOPPED, (name: string) => `The viewer was stopped. To see it again: virt-sandbox-ctl view ${name}`],
  [REFUSED, () => 'The viewer has refused what this page sent. Load the page again.'],
  [STRANGER, () => 'Another program answers at this address. Close this page.'],
]);

/** Resolves when the connection is closed. */
async function connect(settings: PageSettings): Promise<{ code: number; wasConnected: boolean }> {
  const nonce = newNonce();
  const proof = await proofOf(settings.key, nonce);
  const url = new URL(`screen?nonce=${nonce}`, location.href);
  url.protocol = 'ws:';
  const socket = new WebSocket(url);
  let wasConnected = false;
  return new Promise((resolve) => {
    const refuse = () => {
      socket.close();
      resolve({ code: STRANGER, wasConnected });
    };
    let timer: ReturnType<typeof setTimeout> | undefined;
    socket.onopen = () => {
      timer = setTimeout(refuse, GREETING_MS);
    };
    // The screen itself comes behind it.
    socket.onmessage = ({ data }) => {
      clearTimeout(timer);
      socket.onmessage = null;
      if (data !== proof) return refuse();
      display(socket, settings, () => {
        wasConnected = true;
      });
    };
    socket.addEventListener('close', ({ code }) => {
      clearTimeout(timer);
      resolve({ code, wasConnected });
    });
  });
}

function display(socket: WebSocket, settings: PageSettings, onConnected: () => void): void {
  const rfb = new RFB(element('screen'), socket, { shared: true });
  rfb.scaleViewport = true;
  rfb.background = 'transparent';
  rfb.addEventListener('connect', () => {
    onConnected();
    show('connected', 'Connected');
    rfb.focus({ preventScroll: true });
  });
  if (settings.clipboard) shareClipboard(rfb);
}

main().catch((error: unknown) => show('over', `The page does not work: ${String(error)}`, 'not connected'));
