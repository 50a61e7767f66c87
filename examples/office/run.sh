#!/bin/sh
# Tries the office on this machine: makes its people, starts it, and sends mail between them with curl.
. "$(dirname "$0")/../common.sh"

step 'Two people, one with a small maildrop, and an address for both'
add_user alice 'correct horse 1'
add_user bob 'correct horse 2' --quota-bytes 64k
ems alias add info alice bob
ems user list

step 'The server'
start

have curl || exit 0
send() { # send NAME PASSWORD TO FILE; - is standard input
  curl --silent --show-error --ssl-reqd --cacert "$cert" --user "$1:$2" --crlf --mail-from "$1@office.example" \
    --mail-rcpt "$3" --upload-file "$4" "smtp://localhost:$SUBMISSION"
}

step 'Alice writes to info@office.example'
send alice 'correct horse 1' info@office.example - <<MESSAGE
From: Alice <alice@office.example>
To: Information <info@office.example>
Subject: The printer is back

It works again.
MESSAGE
wait_for bob 1
ems mail list --user bob

step 'Bob fetches it as his mail program would, and deletes it'
curl --silent --show-error --cacert "$cert" --user 'bob:correct horse 2' "pop3s://localhost:$POP3S/1"
curl --silent --show-error --cacert "$cert" --user 'bob:correct horse 2' --head --request 'DELE 1' \
  "pop3s://localhost:$POP3S/"

step 'What became of it'
id=$(ems mail list --user alice --json | sed -n 's/.*"id": "\(.*\)",/\1/p')
ems trace "$id"

step 'Bob may hold 64 KiB: a message that says it is larger is refused, and its sender is told at once'
{ printf 'Subject: pictures\n\n'; head -c 100000 /dev/zero | tr '\0' x | fold -w 70; } >"$work/large"
if send alice 'correct horse 1' bob@office.example "$work/large" 2>"$work/refusal"; then
  echo 'it was taken, which is wrong' >&2
  exit 1
fi
cat "$work/refusal"
logged 'reply="452 4.2.2"'
