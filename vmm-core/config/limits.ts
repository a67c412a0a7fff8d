/**
 * Upper limits on a configuration. vmd has none of them; they are far beyond what people write, and keep a
 * file that includes itself in many ways, or one that is not a configuration at all, from taking down an
 * editor's language server.
 */

/** One file. */
export const MAX_FILE_BYTES = 16 * 1024 * 1024;
/**
 * All included text, counted as often as it is included: that much in short lines is read in about five
 * seconds.
 */
export const MAX_INCLUDED_CHARACTERS = 4 * 1024 * 1024;
/** How many includes one configuration may have. */
export const MAX_INCLUDES = 10_000;
/** Includes of includes. */
export const MAX_INCLUDE_DEPTH = 100;
