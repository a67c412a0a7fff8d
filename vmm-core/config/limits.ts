/**
 * What a configuration may ask for at most. vmd has none of these limits; they are far beyond what people
 * write, and keep a file that includes itself by many ways, or one that is no configuration at all, from
 * taking an editor's language server with it.
 */

/** One file. */
export const MAX_FILE_BYTES = 16 * 1024 * 1024;
/** All that is included, as often as it is included: short lines of it are read in some five seconds. */
export const MAX_INCLUDED_CHARACTERS = 4 * 1024 * 1024;
/** How often something may be included, in one configuration. */
export const MAX_INCLUDES = 10_000;
/** Includes of includes. */
export const MAX_INCLUDE_DEPTH = 100;
