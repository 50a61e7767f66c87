/** In place of libmime, in the executable: see aliases.mjs. What is signed is folded afterwards, at the same spaces. */
"use strict";
exports.foldLines = (line) => line;
