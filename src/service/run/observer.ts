/** Who is told what happens to a service. */
import type { Pause } from '../../control/pause.js';
import type { Sandbox } from '../../sandbox/sandbox.js';
import type { ServiceEnd } from './end.js';
import type { Health } from './health.js';
import type { Phase } from './record.js';

/** What happens to a service, for those who record it, log it or tell systemd. */
export interface LifeObserver {
  onPhase(phase: Phase, facts?: PhaseFacts): void;
  onHealth(health: Health): void;
  /** A sentence for the log. */
  onNote(sentence: string): void;
  /** Takes the output; resolves when there is room for more. */
  onOutput(stream: 'stdout' | 'stderr', chunk: Buffer): Promise<void>;
}

export interface PhaseFacts {
  /** The sandbox that runs now. */
  readonly sandbox?: Sandbox;
  /** Whether a host holds it still. */
  readonly pause?: Pick<Pause, 'isHeld'>;
  /** When it is started again. */
  readonly again?: Date;
  /** How it has ended. */
  readonly end?: ServiceEnd;
  readonly restarts?: number;
}
