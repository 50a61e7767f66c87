/** In place of joi, in the executable: see aliases.mjs. mailauth makes one schema when it is loaded. */
"use strict";
exports.string = () => ({
  base64: () => ({
    validate() {
      throw new Error("this executable makes signatures and does not verify any");
    },
  }),
});
