/** Small files of the store. One that is missing, or is none, counts as not there. */
import { isSystemError } from '../../util/errors.js';
import { parseJson } from '../../util/records.js';
import { readRegular, UnreadableFile } from '../../util/regular-files.js';

/**
 * The value of a JSON file; undefined if there is none that can be read.
 * @param most bytes
 */
export function readRecord(path: string, most: number): unknown {
  try {
    return parseJson(readRegular(path, most));
  } catch (error) {
    if (isSystemError(error) || error instanceof UnreadableFile) return undefined;
    throw error;
  }
}
