/**
 * The human-readable texts of every reply, in the languages LANG offers (RFC 6856 3).
 *
 * Guarantees: status, response codes and numbers are the same in each language, so a program reads all of them; English
 * is plain ASCII and is what a client gets that never sent LANG. The type makes a language without one of the texts
 * an error of the compiler.
 *
 * @module
 */
import type { ResponseCode } from "./types.ts";

/** One language. Texts hold no line ends. */
export interface Language {
  /** RFC 5646. */
  readonly tag: string;
  /** The language's name in itself. */
  readonly name: string;
  readonly texts: Texts;
}

export interface Texts {
  readonly greeting: (hostname: string) => string;
  readonly goodbye: (hostname: string) => string;
  readonly languageChosen: string;
  readonly languageList: string;
  readonly languageUnknown: string;
  readonly capabilityList: string;
  readonly mechanismList: string;
  readonly passwordWanted: string;
  readonly tlsBegins: string;
  readonly utf8On: string;
  readonly maildrop: (messages: number, octets: number) => string;
  readonly listing: (messages: number, octets: number) => string;
  readonly uniqueIds: string;
  readonly content: (octets: number) => string;
  readonly top: string;
  readonly deleted: (number: number) => string;
  readonly done: string;

  readonly unknownCommand: string;
  readonly notACommand: string;
  readonly lineTooLong: (octets: number) => string;
  readonly bareLineFeed: string;
  readonly tooMuchInput: string;
  readonly tooManyErrors: string;
  readonly onlyBeforeLogin: (verb: string) => string;
  readonly onlyAfterLogin: (verb: string) => string;
  readonly noArgument: (verb: string) => string;
  readonly wantsNumber: (verb: string) => string;
  readonly wantsTop: string;
  readonly wantsName: string;
  readonly wantsPassword: string;
  readonly wantsUserFirst: string;
  readonly notUtf8: string;
  readonly noSuchMessage: (messages: number) => string;
  readonly isDeleted: (number: number) => string;
  readonly clearTextRefused: string;
  readonly tlsNotOffered: string;
  readonly tlsAlready: string;
  readonly tlsAfterUtf8: string;
  readonly wantsMechanism: string;
  readonly unknownMechanism: string;
  readonly notBase64: string;
  readonly cancelled: string;
  /** Stand in for the server's own English sentences, by response code. */
  readonly refused: Readonly<Record<ResponseCode, string>>;
  readonly notAllRemoved: string;
  readonly closing: string;
}

const english: Texts = {
  greeting: (hostname) => `${hostname} POP3 server ready`,
  goodbye: (hostname) => `${hostname} POP3 server signing off`,
  languageChosen: "replies are in English now",
  languageList: "language listing follows",
  languageUnknown: "this language is not offered; LANG alone lists those that are",
  capabilityList: "capability list follows",
  mechanismList: "mechanism list follows",
  passwordWanted: "send PASS",
  tlsBegins: "begin TLS negotiation now",
  utf8On: "UTF-8 is enabled",
  maildrop: (messages, octets) => `maildrop has ${messages} messages (${octets} octets)`,
  listing: (messages, octets) => `${messages} messages (${octets} octets)`,
  uniqueIds: "unique-id listing follows",
  content: (octets) => `${octets} octets`,
  top: "top of message follows",
  deleted: (number) => `message ${number} deleted`,
  done: "",

  unknownCommand: "unknown command; CAPA lists what is there",
  notACommand: "this is not a command: a word of letters, then its arguments after a space",
  lineTooLong: (octets) => `the line is longer than ${octets} octets`,
  bareLineFeed: "the line ends with LF alone; end lines with CR LF",
  tooMuchInput: "too many commands were sent ahead of their replies; closing",
  tooManyErrors: "too many errors; closing",
  onlyBeforeLogin: (verb) => `${verb} is only possible before log-in`,
  onlyAfterLogin: (verb) => `${verb} is only possible after log-in`,
  noArgument: (verb) => `${verb} takes no argument`,
  wantsNumber: (verb) => `${verb} wants a message number, like ${verb} 1`,
  wantsTop: "TOP wants a message number and a count of lines, like TOP 1 10",
  wantsName: "USER wants a name, like USER alice",
  wantsPassword: "PASS wants a password",
  wantsUserFirst: "send USER first",
  notUtf8: "the text is not valid UTF-8",
  noSuchMessage: (messages) => `no such message, only ${messages} messages in maildrop`,
  isDeleted: (number) => `message ${number} is deleted`,
  clearTextRefused: "a password is not taken in clear text here; use STLS first",
  tlsNotOffered: "TLS is not offered here",
  tlsAlready: "TLS is active already",
  tlsAfterUtf8: "STLS is not possible after UTF8; send STLS first",
  wantsMechanism: "AUTH wants a mechanism, like AUTH PLAIN",
  unknownMechanism: "this mechanism is not offered; AUTH alone lists those that are",
  notBase64: "the response is not valid base64",
  cancelled: "authentication cancelled",
  refused: {
    "AUTH": "the user name or the password is wrong",
    "IN-USE": "another session has this maildrop open",
    "LOGIN-DELAY": "this account logged in a moment ago; wait a little",
    "SYS/TEMP": "something went wrong here; try again later",
    "SYS/PERM": "this is not possible with this account",
  },
  notAllRemoved: "some deleted messages were not removed",
  closing: "the server closes this session",
};

const german: Texts = {
  greeting: (hostname) => `${hostname} POP3-Server bereit`,
  goodbye: (hostname) => `${hostname} POP3-Server meldet sich ab`,
  languageChosen: "Antworten sind jetzt auf Deutsch",
  languageList: "Liste der Sprachen folgt",
  languageUnknown: "diese Sprache gibt es hier nicht; LANG allein zählt die vorhandenen auf",
  capabilityList: "Liste der Fähigkeiten folgt",
  mechanismList: "Liste der Verfahren folgt",
  passwordWanted: "PASS senden",
  tlsBegins: "TLS-Verhandlung jetzt beginnen",
  utf8On: "UTF-8 ist eingeschaltet",
  maildrop: (messages, octets) => `Postfach enthält ${messages} Nachrichten (${octets} Oktette)`,
  listing: (messages, octets) => `${messages} Nachrichten (${octets} Oktette)`,
  uniqueIds: "Liste der Kennungen folgt",
  content: (octets) => `${octets} Oktette`,
  top: "Anfang der Nachricht folgt",
  deleted: (number) => `Nachricht ${number} gelöscht`,
  done: "",

  unknownCommand: "unbekannter Befehl; CAPA zählt die vorhandenen auf",
  notACommand: "das ist kein Befehl: ein Wort aus Buchstaben, nach einem Leerzeichen die Angaben dazu",
  lineTooLong: (octets) => `die Zeile ist länger als ${octets} Oktette`,
  bareLineFeed: "die Zeile endet nur mit LF; Zeilen enden mit CR LF",
  tooMuchInput: "zu viele Befehle vor ihren Antworten gesendet; die Verbindung endet",
  tooManyErrors: "zu viele Fehler; die Verbindung endet",
  onlyBeforeLogin: (verb) => `${verb} geht nur vor der Anmeldung`,
  onlyAfterLogin: (verb) => `${verb} geht nur nach der Anmeldung`,
  noArgument: (verb) => `${verb} steht allein`,
  wantsNumber: (verb) => `${verb} braucht eine Nachrichtennummer, etwa ${verb} 1`,
  wantsTop: "TOP braucht Nachrichtennummer und Zeilenzahl, etwa TOP 1 10",
  wantsName: "USER braucht einen Namen, etwa USER alice",
  wantsPassword: "PASS braucht ein Kennwort",
  wantsUserFirst: "zuerst USER senden",
  notUtf8: "der Text ist kein gültiges UTF-8",
  noSuchMessage: (messages) => `diese Nachricht gibt es nicht, das Postfach enthält nur ${messages}`,
  isDeleted: (number) => `Nachricht ${number} ist gelöscht`,
  clearTextRefused: "Kennwörter werden hier nicht im Klartext angenommen; zuerst STLS verwenden",
  tlsNotOffered: "TLS gibt es hier nicht",
  tlsAlready: "TLS ist schon aktiv",
  tlsAfterUtf8: "STLS geht nicht nach UTF8; zuerst STLS senden",
  wantsMechanism: "AUTH braucht ein Verfahren, etwa AUTH PLAIN",
  unknownMechanism: "dieses Verfahren gibt es hier nicht; AUTH allein zählt die vorhandenen auf",
  notBase64: "die Antwort ist kein gültiges Base64",
  cancelled: "Anmeldung abgebrochen",
  refused: {
    "AUTH": "Benutzername oder Kennwort ist falsch",
    "IN-USE": "das Postfach ist in einer anderen Sitzung geöffnet",
    "LOGIN-DELAY": "die letzte Anmeldung ist zu kurz her; bitte etwas warten",
    "SYS/TEMP": "hier ist etwas schiefgegangen; bitte später wieder versuchen",
    "SYS/PERM": "das geht mit diesem Konto nicht",
  },
  notAllRemoved: "einige gelöschte Nachrichten wurden nicht entfernt",
  closing: "der Server beendet diese Sitzung",
};

const french: Texts = {
  greeting: (hostname) => `${hostname} serveur POP3 prêt`,
  goodbye: (hostname) => `${hostname} serveur POP3, au revoir`,
  languageChosen: "les réponses sont désormais en français",
  languageList: "la liste des langues suit",
  languageUnknown: "cette langue n'est pas proposée ; LANG seul donne la liste",
  capabilityList: "la liste des capacités suit",
  mechanismList: "la liste des mécanismes suit",
  passwordWanted: "envoyez PASS",
  tlsBegins: "commencez la négociation TLS",
  utf8On: "UTF-8 est activé",
  maildrop: (messages, octets) => `la boîte contient ${messages} messages (${octets} octets)`,
  listing: (messages, octets) => `${messages} messages (${octets} octets)`,
  uniqueIds: "la liste des identifiants suit",
  content: (octets) => `${octets} octets`,
  top: "le début du message suit",
  deleted: (number) => `message ${number} supprimé`,
  done: "",

  unknownCommand: "commande inconnue ; CAPA donne la liste",
  notACommand: "ceci n'est pas une commande : un mot de lettres, puis ses arguments après une espace",
  lineTooLong: (octets) => `la ligne dépasse ${octets} octets`,
  bareLineFeed: "la ligne se termine par LF seul ; terminez les lignes par CR LF",
  tooMuchInput: "trop de commandes envoyées avant leurs réponses ; fermeture",
  tooManyErrors: "trop d'erreurs ; fermeture",
  onlyBeforeLogin: (verb) => `${verb} n'est possible qu'avant la connexion`,
  onlyAfterLogin: (verb) => `${verb} n'est possible qu'après la connexion`,
  noArgument: (verb) => `${verb} ne prend pas d'argument`,
  wantsNumber: (verb) => `${verb} demande un numéro de message, par exemple ${verb} 1`,
  wantsTop: "TOP demande un numéro de message et un nombre de lignes, par exemple TOP 1 10",
  wantsName: "USER demande un nom, par exemple USER alice",
  wantsPassword: "PASS demande un mot de passe",
  wantsUserFirst: "envoyez d'abord USER",
  notUtf8: "le texte n'est pas de l'UTF-8 valide",
  noSuchMessage: (messages) => `ce message n'existe pas, la boîte n'en contient que ${messages}`,
  isDeleted: (number) => `le message ${number} est supprimé`,
  clearTextRefused: "les mots de passe ne sont pas acceptés en clair ici ; utilisez d'abord STLS",
  tlsNotOffered: "TLS n'est pas proposé ici",
  tlsAlready: "TLS est déjà actif",
  tlsAfterUtf8: "STLS n'est pas possible après UTF8 ; envoyez d'abord STLS",
  wantsMechanism: "AUTH demande un mécanisme, par exemple AUTH PLAIN",
  unknownMechanism: "ce mécanisme n'est pas proposé ; AUTH seul donne la liste",
  notBase64: "la réponse n'est pas du base64 valide",
  cancelled: "authentification annulée",
  refused: {
    "AUTH": "le nom d'utilisateur ou le mot de passe est faux",
    "IN-USE": "cette boîte est ouverte dans une autre session",
    "LOGIN-DELAY": "la dernière connexion est trop récente ; patientez un peu",
    "SYS/TEMP": "une erreur s'est produite ici ; réessayez plus tard",
    "SYS/PERM": "ce n'est pas possible avec ce compte",
  },
  notAllRemoved: "certains messages supprimés n'ont pas été retirés",
  closing: "le serveur ferme cette session",
};

const spanish: Texts = {
  greeting: (hostname) => `${hostname} servidor POP3 listo`,
  goodbye: (hostname) => `${hostname} servidor POP3, hasta luego`,
  languageChosen: "las respuestas están ahora en español",
  languageList: "sigue la lista de idiomas",
  languageUnknown: "este idioma no se ofrece; LANG solo da la lista",
  capabilityList: "sigue la lista de capacidades",
  mechanismList: "sigue la lista de mecanismos",
  passwordWanted: "envíe PASS",
  tlsBegins: "comience la negociación TLS",
  utf8On: "UTF-8 está activado",
  maildrop: (messages, octets) => `el buzón tiene ${messages} mensajes (${octets} octetos)`,
  listing: (messages, octets) => `${messages} mensajes (${octets} octetos)`,
  uniqueIds: "sigue la lista de identificadores",
  content: (octets) => `${octets} octetos`,
  top: "sigue el comienzo del mensaje",
  deleted: (number) => `mensaje ${number} borrado`,
  done: "",

  unknownCommand: "orden desconocida; CAPA da la lista",
  notACommand: "esto no es una orden: una palabra de letras y, tras un espacio, sus argumentos",
  lineTooLong: (octets) => `la línea tiene más de ${octets} octetos`,
  bareLineFeed: "la línea termina solo en LF; termine las líneas en CR LF",
  tooMuchInput: "demasiadas órdenes enviadas antes de sus respuestas; se cierra",
  tooManyErrors: "demasiados errores; se cierra",
  onlyBeforeLogin: (verb) => `${verb} solo es posible antes de iniciar sesión`,
  onlyAfterLogin: (verb) => `${verb} solo es posible después de iniciar sesión`,
  noArgument: (verb) => `${verb} no lleva argumentos`,
  wantsNumber: (verb) => `${verb} necesita un número de mensaje, como ${verb} 1`,
  wantsTop: "TOP necesita un número de mensaje y un número de líneas, como TOP 1 10",
  wantsName: "USER necesita un nombre, como USER alice",
  wantsPassword: "PASS necesita una contraseña",
  wantsUserFirst: "envíe primero USER",
  notUtf8: "el texto no es UTF-8 válido",
  noSuchMessage: (messages) => `no existe ese mensaje, el buzón solo tiene ${messages}`,
  isDeleted: (number) => `el mensaje ${number} está borrado`,
  clearTextRefused: "aquí no se aceptan contraseñas sin cifrar; use primero STLS",
  tlsNotOffered: "aquí no se ofrece TLS",
  tlsAlready: "TLS ya está activo",
  tlsAfterUtf8: "STLS no es posible después de UTF8; envíe primero STLS",
  wantsMechanism: "AUTH necesita un mecanismo, como AUTH PLAIN",
  unknownMechanism: "este mecanismo no se ofrece; AUTH solo da la lista",
  notBase64: "la respuesta no es base64 válido",
  cancelled: "autenticación cancelada",
  refused: {
    "AUTH": "el nombre de usuario o la contraseña no son correctos",
    "IN-USE": "otra sesión tiene abierto este buzón",
    "LOGIN-DELAY": "el último inicio de sesión es muy reciente; espere un poco",
    "SYS/TEMP": "algo falló aquí; inténtelo más tarde",
    "SYS/PERM": "esto no es posible con esta cuenta",
  },
  notAllRemoved: "algunos mensajes borrados no se eliminaron",
  closing: "el servidor cierra esta sesión",
};

/** Before LANG, and after `LANG *` (RFC 6856 3: the language the server prefers). */
export const DEFAULT_LANGUAGE: Language = { tag: "en", name: "English", texts: english };

/** In the order LANG lists them. */
export const LANGUAGES: readonly Language[] = [
  DEFAULT_LANGUAGE,
  { tag: "de", name: "Deutsch", texts: german },
  { tag: "fr", name: "Français", texts: french },
  { tag: "es", name: "Español", texts: spanish },
];

/** Finds a language by RFC 4647 3.4's lookup: `de-AT` falls back to `de`. Undefined where nothing fits. */
export function lookUpLanguage(range: string): Language | undefined {
  if (range === "*") return DEFAULT_LANGUAGE;
  const subtags = range.toLowerCase().split("-");
  while (subtags.length > 0) {
    const tag = subtags.join("-");
    const found = LANGUAGES.find((language) => language.tag === tag);
    if (found !== undefined) return found;
    subtags.pop();
    // RFC 4647 3.4: a single letter or digit goes together with what followed it.
    if (subtags.at(-1)?.length === 1) subtags.pop();
  }
  return undefined;
}
