/** The size of a screen, as it was seen last. */
import type { ScreenSize } from '../../config/types.js';

export class SeenSize implements ScreenSize {
  readonly #told = new Set<(size: ScreenSize) => void>();
  #size: ScreenSize;

  constructor(size: ScreenSize) {
    this.#size = size;
  }

  get width(): number {
    return this.#size.width;
  }

  get height(): number {
    return this.#size.height;
  }

  /**
   * Calls `told` with each new size.
   * @returns ends that
   */
  onChange(told: (size: ScreenSize) => void): () => void {
    this.#told.add(told);
    return () => void this.#told.delete(told);
  }

  see({ width, height }: ScreenSize): void {
    if (width === this.width && height === this.height) return;
    this.#size = { width, height };
    for (const told of this.#told) told(this.#size);
  }
}
