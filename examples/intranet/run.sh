#!/bin/sh
# Tries Figure 3 on this machine: people, a device, another system inside (smtp-sink), and what becomes of mail for outside.
. "$(dirname "$0")/../common.sh"

PLANT=127.0.5.2 PLANT_PORT=15026 SCANNER=127.0.5.40
PATH=$PATH:/usr/sbin

step 'The figure, as the configuration has it'
"$EMSMAIL" topology --config "$folder/emsmail.yaml"

step 'Where mail goes: to people here, to the plant, and to nobody outside'
add_user alice 'correct horse 1'
add_user bob 'correct horse 2'
for address in bob@works.example line1@plant.works.example friend@elsewhere.example; do
  ems route "$address"
done

# The same configuration with this machine's addresses.
sed "s|host: 10\.1\.20\.25|host: $PLANT\n      port: $PLANT_PORT|; s|10\.1\.30\.0/24|$SCANNER|" "$work/emsmail.yaml" \
  >"$work/here.yaml"
mv "$work/here.yaml" "$work/emsmail.yaml"

if have smtp-sink; then
  step 'The plant: a system of its own'
  mkdir "$work/plant"
  chmod 711 "$work"
  chmod 777 "$work/plant"
  if [ "$(id -u)" = 0 ]; then as='-u nobody'; else as=; fi
  # shellcheck disable=SC2086
  smtp-sink $as -d "$work/plant/mail." "$PLANT:$PLANT_PORT" 100 &
  peers="$peers $!"
fi

step 'The server'
start

have curl || exit 0
send() { # send FROM TO OPTION...: a program that logs in, or doesn't
  from=$1 to=$2
  shift 2
  curl --silent --show-error --crlf --mail-from "$from" --mail-rcpt "$to" --upload-file - "$@"
}
pc() { # pc TO OPTION...: alice's program
  send alice@works.example "$@" --ssl-reqd --cacert "$cert" --user 'alice:correct horse 1' \
    "smtp://localhost:$SUBMISSION"
}

step 'Alice writes to bob, who reads it at a terminal on this machine'
printf 'From: alice@works.example\nTo: bob@works.example\nSubject: Shift plan\n\nYou have the early one.\n' |
  pc bob@works.example
wait_for bob 1
ems mail read 1 --user bob

step 'She writes to a friend outside: refused while her program still listens'
if printf 'Subject: Hello\n\nHello.\n' | pc friend@elsewhere.example --verbose 2>"$work/said"; then
  echo 'it was taken, which is wrong' >&2
  exit 1
fi
grep '^< 550' "$work/said"
logged 'reply="550 5.7.1"'

step 'A scanner without a password reaches alice'
printf 'From: scanner@works.example\nTo: alice@works.example\nSubject: Scan 0001\n\n(the page)\n' |
  send scanner@works.example alice@works.example --interface "$SCANNER" "smtp://127.0.0.1:$SMTP"
wait_for alice 1
ems mail list --user alice

[ -d "$work/plant" ] || exit 0
step 'It writes to the plant too, and a stranger may not'
printf 'From: scanner@works.example\nTo: line1@plant.works.example\nSubject: Order 17\n\nTen of them.\n' |
  send scanner@works.example line1@plant.works.example --interface "$SCANNER" "smtp://127.0.0.1:$SMTP"
if printf 'Subject: x\n\nx\n' |
  send somebody@elsewhere.example line1@plant.works.example "smtp://127.0.0.1:$SMTP" 2>/dev/null; then
  echo 'a stranger was let through, which is wrong' >&2
  exit 1
fi
logged 'message relayed'

step 'What became of it'
id=$(sed -n 's/.*message relayed.* id=\([0-9a-z]*\).*/\1/p' "$work/log" | head -n 1)
ems trace "$id"
cat "$work"/plant/mail.*
