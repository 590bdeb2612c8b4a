/** Entries of layers, in few words. */
import type { TarEntry } from './tar.js';

export const file = (name: string, data = 'x', more: Partial<TarEntry> = {}): TarEntry => ({ name, data, ...more });
export const directory = (name: string, mode = 0o755): TarEntry => ({ name, type: '5', mode });
export const soft = (name: string, link: string): TarEntry => ({ name, type: '2', link });
export const hard = (name: string, link: string): TarEntry => ({ name, type: '1', link });
