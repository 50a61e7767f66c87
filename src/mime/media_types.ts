/**
 * Media types by a file's suffix, for files that are attached here.
 *
 * Absent on purpose: a list of all types that are registered. Who receives a file goes by its suffix anyway, and a type
 * of application/octet-stream says just that.
 *
 * @module
 */

const TYPES: { readonly [suffix: string]: string } = {
  bmp: "image/bmp",
  bz2: "application/x-bzip2",
  csv: "text/csv",
  doc: "application/msword",
  docx: "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
  eml: "message/rfc822",
  gif: "image/gif",
  gz: "application/gzip",
  htm: "text/html",
  html: "text/html",
  ics: "text/calendar",
  jpeg: "image/jpeg",
  jpg: "image/jpeg",
  json: "application/json",
  log: "text/plain",
  lst: "text/plain",
  md: "text/markdown",
  mp3: "audio/mpeg",
  mp4: "video/mp4",
  odp: "application/vnd.oasis.opendocument.presentation",
  ods: "application/vnd.oasis.opendocument.spreadsheet",
  odt: "application/vnd.oasis.opendocument.text",
  pdf: "application/pdf",
  png: "image/png",
  ppt: "application/vnd.ms-powerpoint",
  pptx: "application/vnd.openxmlformats-officedocument.presentationml.presentation",
  prt: "text/plain",
  ps: "application/postscript",
  rtf: "application/rtf",
  svg: "image/svg+xml",
  tar: "application/x-tar",
  tif: "image/tiff",
  tiff: "image/tiff",
  txt: "text/plain",
  vcf: "text/vcard",
  wav: "audio/wav",
  webp: "image/webp",
  xls: "application/vnd.ms-excel",
  xlsx: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
  xml: "application/xml",
  zip: "application/zip",
};

/** The media type of a file by its name, without parameters. */
export function mediaTypeOf(fileName: string): string {
  const suffix = /\.([^.]+)$/.exec(fileName)?.[1]?.toLowerCase() ?? "";
  return Object.hasOwn(TYPES, suffix) ? TYPES[suffix]! : "application/octet-stream";
}

/** A suffix that files of a media type have, with its dot; "" where none is known. */
export function suffixOf(mediaType: string): string {
  // Of several the last one by the alphabet, which happens to be the usual one: jpg, html, txt.
  const suffix = Object.keys(TYPES).findLast((each) => TYPES[each] === mediaType);
  return suffix === undefined ? "" : `.${suffix}`;
}
