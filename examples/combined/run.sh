#!/bin/sh
# Tries Figure 4 on this machine: dnsmasq is the Internet's DNS, smtp-sink a friend's system and the buffer host, curl a
# stranger and a laptop. Mail hosts are on port 25, so without root it only draws the figure.
. "$(dirname "$0")/../common.sh"

DNS=127.0.5.53 DNS_PORT=15053 FRIEND=127.0.5.25 DEAD=127.0.5.26 BUFFER=127.0.5.10 BUFFER_PORT=15026
STRANGER=127.0.5.77 LAPTOP=127.0.5.9
PATH=$PATH:/usr/sbin

step 'The figure, as the configuration has it'
"$EMSMAIL" topology --config "$folder/emsmail.yaml"

[ "$(id -u)" = 0 ] || { echo '(not root: the rest is left out)'; exit 0; }
have dnsmasq && have smtp-sink && have curl || exit 0

# The same configuration with this machine's addresses.
sed "s|host: unix\.example\.org|host: $BUFFER\n    port: $BUFFER_PORT|; s|192\.0\.2\.10\]|$BUFFER]|" "$work/emsmail.yaml" \
  >"$work/here.yaml"
printf 'dns:\n  servers: ["%s:%s"]\n' "$DNS" "$DNS_PORT" >>"$work/here.yaml"
mv "$work/here.yaml" "$work/emsmail.yaml"

# The Internet: a friend's system that answers, one that is down, and no other domain.
dnsmasq --keep-in-foreground --conf-file=/dev/null --pid-file= --user= --no-resolv --no-hosts --bind-interfaces \
  --listen-address="$DNS" --port="$DNS_PORT" --local=/example/ \
  --mx-host=friend.example,mx.friend.example,10 --host-record="mx.friend.example,$FRIEND" \
  --mx-host=down.example,mx.down.example,10 --host-record="mx.down.example,$DEAD" 2>/dev/null &
peers="$peers $!"
mkdir "$work/friend" "$work/buffer"
chmod 711 "$work"
chmod 777 "$work/friend" "$work/buffer"
smtp-sink -u nobody -d "$work/friend/mail." "$FRIEND:25" 100 &
peers="$peers $!"
smtp-sink -u nobody -d "$work/buffer/mail." "$BUFFER:$BUFFER_PORT" 100 &
peers="$peers $!"

step 'The server'
add_user alice 'correct horse 1'
start

step 'Where mail goes: directly where DNS names a host, and else to the buffer host'
ems route dave@friend.example --probe
ems route erin@nowhere.example --probe

bring() { # bring FROM-ADDRESS SUBJECT: another system brings mail for alice
  printf 'From: carol@friend.example\nTo: alice@example.org\nSubject: %s\n\nHello.\n' "$2" |
    curl --silent --show-error --crlf --interface "$1" --mail-from carol@friend.example \
      --mail-rcpt alice@example.org --upload-file - "smtp://127.0.0.1:$SMTP"
}

step 'Mail comes from anyone, and from the buffer host, which kept it while this machine was down'
bring "$STRANGER" 'Straight to you'
bring "$BUFFER" 'Kept for you'
wait_for alice 2
ems mail list --user alice

laptop() { # laptop OPTION...: alice, somewhere else
  curl --silent --show-error --cacert "$cert" --interface "$LAPTOP" --user 'alice:correct horse 1' "$@"
}

step 'Alice travels: her laptop fetches over TLS ...'
laptop "pop3s://localhost:$POP3S/1"

step '... and sends what it has queued up'
printf 'From: alice@example.org\nTo: dave@friend.example, erin@nowhere.example, frank@down.example\nSubject: On the road\n\nSunny.\n' |
  laptop --crlf --mail-from alice@example.org --mail-rcpt dave@friend.example --mail-rcpt erin@nowhere.example \
    --mail-rcpt frank@down.example --upload-file - "smtps://localhost:$SUBMISSIONS"
logged 'message relayed'
logged 'message handed on'
logged 'message deferred'

step 'What became of it: delivered, handed to the buffer host, and waiting'
id=$(sed -n 's/.*message relayed.* id=\([0-9a-z]*\).*/\1/p' "$work/log" | head -n 1)
ems trace "$id"

step 'When the buffer host takes over'
ems queue show "$id.3"
ems queue show "$id.3" | grep -q 'Backup .*takes over' || { echo 'it does not say when' >&2; exit 1; }

step 'What arrived'
grep -h '^X-Rcpt-Args' "$work"/friend/mail.*
grep -h '^X-Rcpt-Args' "$work"/buffer/mail.*

step 'Without a log-in nobody sends through here'
if printf 'Subject: x\n\nx\n' | curl --silent --verbose --crlf --interface "$STRANGER" --mail-from x@elsewhere.example \
  --mail-rcpt dave@friend.example --upload-file - "smtp://127.0.0.1:$SMTP" 2>"$work/said"; then
  echo 'a stranger was let through, which is wrong' >&2
  exit 1
fi
grep '^< 550' "$work/said"
