#!/bin/sh
# Tries Figure 2 on this machine: a private Postfix with the settings of postfix/main.cf is the UNIX host, smtp-sink the
# Internet. Without root, Postfix and curl it only draws the figure.
. "$(dirname "$0")/../common.sh"

UNIX=127.0.4.2 UNIX_PORT=15025 INTERNET=127.0.4.8 INTERNET_PORT=15026 STRANGER=127.0.4.9
PATH=$PATH:/usr/sbin
etc=$work/postfix/etc
postfix= sink=

clean() {
  code=$?
  set +e
  [ -z "$sink" ] || { kill "$sink"; wait "$sink"; } 2>/dev/null
  [ -z "$postfix" ] || postfix -c "$etc" stop >/dev/null 2>&1
  [ "$code" = 0 ] || cat "$work/postfix/mail.log" 2>/dev/null
  (exit "$code")
  finish
}
trap clean EXIT

step 'The figure, as the configuration has it'
"$EMSMAIL" topology --config "$folder/emsmail.yaml"
ems route dave@elsewhere.example

[ "$(id -u)" = 0 ] || { echo '(not root: the rest is left out)'; exit 0; }
have postfix && have smtp-sink && have curl || exit 0

# The same configuration with this machine's addresses.
sed -i "s/unix\.example\.org$/$UNIX\n    port: $UNIX_PORT/; s/10\.1\.1\.10/$UNIX/" "$work/emsmail.yaml"

# The UNIX host, with all its files in the temporary folder.
start_postfix() {
  chmod 755 "$work"
  mkdir -p "$etc" "$work/postfix/queue" "$work/postfix/data"
  chown postfix "$work/postfix/data"
  {
    sed "s|/etc/postfix|$etc|; s|10\.1\.1\.25/32|127.0.0.1/32|" "$folder/postfix/main.cf"
    echo "queue_directory = $work/postfix/queue"
    echo "data_directory = $work/postfix/data"
    echo "maillog_file = $work/postfix/mail.log"
    echo "maillog_file_prefixes = ${work%/*}"
    echo 'inet_protocols = ipv4'
    echo 'inet_interfaces = 127.0.0.1'
    echo "smtp_bind_address = $UNIX"
  } >"$etc/main.cf"
  {
    sed "s/\[10\.1\.1\.25\]:25/[127.0.0.1]:$SMTP/" "$folder/postfix/transport"
    echo "* smtp:[$INTERNET]:$INTERNET_PORT"
  } >"$etc/transport"
  # Debian's own services, none of them in a chroot, and the listener elsewhere.
  sed -E "s/^smtp +inet .*/$UNIX:$UNIX_PORT inet n - n - - smtpd/; s/^([a-z]+ +unix(-dgram)? +[yn-] +[yn-] +)y/\1n/" \
    /usr/share/postfix/master.cf.dist >"$etc/master.cf"
  postfix=yes
  postfix -c "$etc" start >/dev/null 2>&1 || { echo 'Postfix did not start' >&2; exit 1; }
}

outside() { # outside TO SUBJECT: somebody on the Internet sends
  printf 'From: Carol <carol@elsewhere.example>\nTo: %s\nSubject: %s\n\nHello from outside.\n' "$1" "$2" |
    curl --silent --show-error --crlf --interface "$STRANGER" --mail-from carol@elsewhere.example --mail-rcpt "$1" \
      --upload-file - "smtp://$UNIX:$UNIX_PORT"
}

# Waits until a command's output has a text in it: sees TEXT COMMAND...
sees() {
  text=$1
  shift
  for _ in $(seq 40); do
    "$@" >"$work/seen" 2>&1 || true
    grep -q -e "$text" "$work/seen" && return
    sleep 0.25
  done
  cat "$work/seen" >&2
  echo "never seen: $text" >&2
  exit 1
}

waiting() { postqueue -c "$etc" -p; }

step 'The UNIX host is up, and EMSmail is not'
add_user alice 'correct horse 1'
start_postfix
sees 220 curl --silent --show-error --verbose --max-time 5 "smtp://$UNIX:$UNIX_PORT" --request QUIT

step 'Mail for alice comes, and waits there'
outside alice@example.org 'While you were away'
sees 'refused' waiting
waiting

step 'EMSmail starts, and the UNIX host is told to try at once'
start
postqueue -c "$etc" -f
wait_for alice 1
ems mail list --user alice
sees 'queue is empty' waiting
cat "$work/seen"

step 'An address that nobody has: the UNIX host asks EMSmail, and the sender hears it at once'
if outside nobody@example.org 'Anybody there?' 2>"$work/refusal"; then
  echo 'it was taken, which is wrong' >&2
  exit 1
fi
cat "$work/refusal"

step 'Anybody else at EMSmail'"'"'s port 25, from inside or outside'
curl --silent --verbose --interface "$STRANGER" "smtp://127.0.0.1:$SMTP" 2>&1 | grep '^< 554' || {
  echo 'a stranger was let in' >&2
  exit 1
}

step 'Alice writes to somebody outside'
mkdir "$work/internet"
chmod 777 "$work/internet"
smtp-sink -u nobody -d "$work/internet/mail." "$INTERNET:$INTERNET_PORT" 100 &
sink=$!
curl --silent --show-error --ssl-reqd --cacert "$cert" --user 'alice:correct horse 1' --crlf \
  --mail-from alice@example.org --mail-rcpt dave@elsewhere.example --upload-file - \
  "smtp://localhost:$SUBMISSION" <<MESSAGE
From: Alice <alice@example.org>
To: dave@elsewhere.example
Subject: Hello out there

Over the wall.
MESSAGE
sees handed ems queue list --retired
cat "$work/seen"

step 'What became of it: handed to the buffer host, which is all that is known here'
id=$(ems queue list --retired --json | sed -n 's/.*"id": "\([^".]*\).*/\1/p' | head -1)
ems trace "$id"

step 'The UNIX host'"'"'s log has the rest'
sees 'to=<dave@elsewhere.example>.*status=sent' cat "$work/postfix/mail.log"
grep -o 'to=<dave@elsewhere.example>.*' "$work/seen"
