/** In place of tldts, in the executable: see aliases.mjs. */
"use strict";
exports.getDomain = () => {
  throw new Error("this executable has no list of public suffixes");
};
