#!/bin/sh
# Tries Figure 1 on this machine: dnsmasq is the Internet's DNS, smtp-sink its mail hosts. They are on port 25 of addresses
# of their own, 127.0.3.101 and up; without root, dnsmasq, smtp-sink and curl it only draws the figure.
. "$(dirname "$0")/../common.sh"

PATH=$PATH:/usr/sbin
DNS=127.0.3.153 DNS_PORT=5353 SECOND=127.0.3.102 ISP=127.0.3.103
peers=

clean() {
  code=$?
  set +e
  for peer in $peers; do { kill "$peer"; wait "$peer"; } 2>/dev/null; done
  (exit "$code")
  finish
}
trap clean EXIT

step 'The figure, as the configuration has it'
"$EMSMAIL" topology --config "$folder/emsmail.yaml"

[ "$(id -u)" = 0 ] || { echo '(not root: the rest is left out)'; exit 0; }
have dnsmasq && have smtp-sink && have curl || exit 0

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

step 'The keys that sign what alice sends, and the records they need'
ems dkim add example.org

# The Internet: elsewhere.example has two hosts, of which the first is down; silent.example wants no mail (RFC 7505).
{
  echo 'mx-host=elsewhere.example,mx1.elsewhere.example,10'
  echo 'mx-host=elsewhere.example,mx2.elsewhere.example,20'
  echo 'host-record=mx1.elsewhere.example,127.0.3.101'
  echo "host-record=mx2.elsewhere.example,$SECOND"
  echo 'dns-rr=silent.example,15,000000'
  echo "host-record=mail.isp.example,$ISP"
  # A text of more than 255 octets is served in pieces.
  ems dkim list --json | sed -n 's/^ *"name": "\(.*\)",/\1/p; s/^ *"text": "\(.*\)",/\1/p' | while read -r name; do
    read -r text
    echo "txt-record=$name,$(printf '%s' "$text" | fold -w 250 | sed 's/.*/"&"/' | paste -s -d ,)"
  done
} >"$work/dns"
dnsmasq --keep-in-foreground --conf-file="$work/dns" --listen-address="$DNS" --port="$DNS_PORT" --bind-interfaces \
  --no-resolv --no-hosts --local=/#/ --user=root --pid-file= &
peers="$peers $!"
printf 'dns:\n  servers: ["%s:%s"]\n' "$DNS" "$DNS_PORT" >>"$work/emsmail.yaml"

# A mail host of somebody else's, which keeps what it is given: host NAME ADDRESS
host() {
  mkdir "$work/$1"
  chmod 755 "$work"
  chmod 777 "$work/$1"
  smtp-sink -u nobody -h "$1" -d "$work/$1/mail." "$2:25" 100 &
  peers="$peers $!"
}
host mx2.elsewhere.example "$SECOND"
host mail.isp.example "$ISP"

# write TO SUBJECT: alice sends
write() {
  printf 'From: Alice <alice@example.org>\nTo: %s\nSubject: %s\n\nHello out there.\n' "$1" "$2" |
    curl --silent --show-error --ssl-reqd --cacert "$cert" --user 'alice:correct horse 1' --crlf \
      --mail-from alice@example.org --mail-rcpt "$1" --upload-file - "smtp://localhost:$SUBMISSION"
}

# The id of the newest message to somebody: id_of TO
id_of() {
  ems queue list --retired --json | grep -B 3 "\"recipient\": \"$1\"" | sed -n 's/.*"message": "\(.*\)",/\1/p' | head -1
}

step 'Whether the records are there'
sees 'right' ems dkim check example.org
cat "$work/seen"

step 'Where mail for dave would go'
ems route dave@elsewhere.example --probe

step 'Alice writes to dave'
add_user alice 'correct horse 1'
start
write dave@elsewhere.example Hello
sees relayed ems queue list --retired
cat "$work/seen"
id=$(id_of dave@elsewhere.example)

step 'Did it get there?'
ems trace "$id"

step 'What was said'
ems queue show "$id"

step 'What arrived'
sed -n '/^DKIM-Signature/,/^$/p' "$work"/mx2.elsewhere.example/mail.*
grep -q '^DKIM-Signature: ' "$work"/mx2.elsewhere.example/mail.*

step 'A domain that DNS knows nothing of: the provider gets the mail'
ems route erin@nowhere.example --probe
write erin@nowhere.example 'Anybody there?'
sees handed ems queue list --retired
ems trace "$(id_of erin@nowhere.example)"

step 'A domain that wants no mail: alice is told at once'
write frank@silent.example 'Anybody there?'
wait_for alice 1
ems mail read 1 --user alice

step 'Somebody out there writes to alice'
outside() { # outside TO
  printf 'From: Dave <dave@elsewhere.example>\nTo: %s\nSubject: Hello yourself\n\nGood to hear of you.\n' "$1" |
    curl --silent --show-error --crlf --interface "$SECOND" --mail-from dave@elsewhere.example --mail-rcpt "$1" \
      --upload-file - "smtp://127.0.0.1:$SMTP"
}
outside alice@example.org
wait_for alice 2
ems mail list --user alice

step 'And to somebody who is not here: this is no way to the rest of the world'
if outside erin@nowhere.example 2>"$work/refusal"; then
  echo 'it was taken, which is wrong' >&2
  exit 1
fi
logged '550 5.7.1'
