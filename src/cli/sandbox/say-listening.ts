/** Says where viewers of a sandbox's screen are let in over TCP. */
import { listenText } from '../../config/parsers/graphics.js';
import type { Sandbox } from '../../sandbox/sandbox.js';
import { programName } from '../program-name.js';

/** @param say a text for the caller alone, and for no log: the password is in it */
export function sayListening({ launched: { screen } }: Sandbox, say: (sentence: string) => void): void {
  if (screen?.listening === undefined) return;
  const { listening } = screen;
  say(`${programName()}: the screen is at ${listenText(listening)} for VNC; the password is ${listening.password}\n`);
}
