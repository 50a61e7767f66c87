/**
 * How a part's key and index become its row's id.
 *
 * @module
 */

/** An index has 16 bits of the id: 16 GiB in parts of 256 KiB. */
export const MAX_PARTS = 65_535;

/**
 * Numbers are bound as floating point, which has 53 bits and an id 63, so both halves become integers first and the
 * multiplication is SQLite's.
 */
export const PART_ID = "(CAST(? AS INTEGER) * 65536 + CAST(? AS INTEGER))";
