/**
 * How far the pull of an OCI image is. At a terminal: a bar for each layer that comes, and a line of what is there of
 * all. Elsewhere: a plain line for each part of the work that takes long.
 */

import type { LayerProgress, PullProgress } from '../../oci/progress.js';
import { size } from '../output.js';
import { programName } from '../program-name.js';
import { PROGRESS_AFTER } from './progress-line.js';
import { StatusLines } from './status-lines.js';

/** Milliseconds between two drawings. */
const REDRAW_AFTER = 100;
/** Columns of a terminal that does not say how many it has. */
const USUAL_COLUMNS = 80;
/** Cells of a bar. */
const MOST_CELLS = 40;
const LEAST_CELLS = 8;

export interface ImageProgress {
  /** Takes what a pull tells: `PullOptions.onProgress`. */
  show(progress: PullProgress): void;
  /** Writes a line that stays, above the bars. */
  note(line: string): void;
  /** Removes the bars for good. Call it also when the pull fails. */
  clear(): void;
}

export interface ImageProgressOptions {
  /** Its name, before plain lines. Default: that of this process. */
  readonly program?: string;
  /** How long nothing is shown, in milliseconds. Default: {@link PROGRESS_AFTER}. */
  readonly after?: number;
}

/** Tells on a stream, such as stderr, how far a pull is. */
export function imageProgress(
  stream: Pick<NodeJS.WriteStream, 'write' | 'isTTY' | 'columns'>,
  { program = programName(), after = PROGRESS_AFTER }: ImageProgressOptions = {},
): ImageProgress {
  return stream.isTTY ? new Bars(stream, program, after) : new PlainLines(stream, program, after);
}

/** What is known of a pull. */
class PullState {
  phase: PullProgress['phase'] = 'asking';
  layers = 0;
  readonly #known = new Map<number, LayerProgress>();

  take(progress: PullProgress): void {
    this.phase = progress.phase;
    if (progress.phase !== 'fetching') return;
    this.layers = progress.layers;
    this.#known.set(progress.layer, progress);
  }

  /** Layers of which some bytes are missing. */
  get coming(): LayerProgress[] {
    return [...this.#known.values()].filter(({ bytes, size }) => bytes < size).sort((a, b) => a.layer - b.layer);
  }

  get done(): number {
    return this.#known.size - this.coming.length;
  }

  get bytes(): number {
    return [...this.#known.values()].reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** In one line. */
  text(): string {
    switch (this.phase) {
      case 'asking':
        return 'looking for the image';
      case 'building':
        return 'making a disk with virt-builder';
      case 'reading':
        return 'reading the files of that disk';
      case 'fetching':
        return `${this.done} of ${this.layers} ${this.layers === 1 ? 'layer' : 'layers'}, ${size(this.bytes)}`;
      case 'merging':
        return 'merging the layers';
      case 'making':
      case 'done':
        return 'making the file system';
    }
  }
}

class Bars implements ImageProgress {
  readonly #state = new PullState();
  readonly #lines: StatusLines;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly stream: Parameters<typeof imageProgress>[0],
    private readonly program: string,
    after: number,
  ) {
    this.#lines = new StatusLines(stream);
    this.#drawIn(after);
  }

  show(progress: PullProgress): void {
    this.#state.take(progress);
    if (this.#lines.isDrawn && this.#timer === undefined) this.#drawIn(REDRAW_AFTER);
  }

  note(line: string): void {
    const wasDrawn = this.#lines.isDrawn;
    this.#lines.erase();
    this.stream.write(`${line}\n`);
    if (wasDrawn) this.#draw();
  }

  clear(): void {
    clearTimeout(this.#timer);
    this.#lines.erase();
  }

  #drawIn(delay: number): void {
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#draw();
    }, delay);
    // What it waits for keeps this process alive.
    this.#timer.unref();
  }

  #draw(): void {
    // The last column stays free: a terminal would begin a line behind it.
    const width = (this.stream.columns || USUAL_COLUMNS) - 1;
    const bars = this.#state.coming.map((layer) => barLine(layer, width));
    this.#lines.draw(
      [...bars, `${this.program}: ${this.#state.text()}…`].map((line) => line.slice(0, Math.max(0, width))),
    );
  }
}

/** `layer 2 of 5 [====>     ]  45%  12.3 MB of 27.4 MB`; without the bar where there is no room for one. */
export function barLine({ layer, layers, bytes, size: whole }: LayerProgress, width: number): string {
  const part = whole === 0 ? 1 : Math.min(1, bytes / whole);
  const before = `layer ${String(layer + 1).padStart(String(layers).length)} of ${layers} `;
  const after = ` ${String(Math.floor(100 * part)).padStart(3)}%  ${size(bytes).padStart(8)} of ${size(whole)}`;
  const cells = Math.min(MOST_CELLS, width - before.length - after.length - 2);
  if (cells < LEAST_CELLS) return `${before.trimEnd()}${after}`;
  const full = Math.floor(part * cells);
  const bar = full === cells ? '='.repeat(cells) : `${'='.repeat(full)}>`.padEnd(cells);
  return `${before}[${bar}]${after}`;
}

/** A line for each phase that takes longer than a person waits without wondering. */
class PlainLines implements ImageProgress {
  readonly #state = new PullState();
  #timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly stream: Parameters<typeof imageProgress>[0],
    private readonly program: string,
    private readonly after: number,
  ) {
    this.#tellLater();
  }

  show(progress: PullProgress): void {
    const isNew = progress.phase !== this.#state.phase;
    this.#state.take(progress);
    if (isNew) this.#tellLater();
  }

  note(line: string): void {
    this.stream.write(`${line}\n`);
  }

  clear(): void {
    clearTimeout(this.#timer);
  }

  #tellLater(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      const text = this.#state.text();
      this.note(`${this.program}: ${this.#state.phase === 'fetching' ? `fetching: ${text} so far` : text}`);
    }, this.after);
    this.#timer.unref();
  }
}
