#!/bin/sh
# Tries the devices' setup on this machine: what is taken without a password, and what is refused.
. "$(dirname "$0")/../common.sh"

sent=0
arrived() {
  sent=$((sent + 1))
  wait_for operator $sent
}

step 'Somebody who reads what the machines say'
add_user operator 'correct horse'
ems alias add scans operator
start

if have curl; then
  step 'A scanner, as most of them do it: no password, no TLS, an address of its own to send from'
  printf 'From: Scanner 2 <scanner2@plant.example>\nTo: scans@plant.example\nSubject: Scan 0001\n\n(the page)\n' |
    curl --silent --show-error --crlf --mail-from scanner2@plant.example --mail-rcpt scans@plant.example \
      --upload-file - "smtp://127.0.0.1:$SMTP"
  arrived
fi

if have bash; then
  step 'A machine that has bash and no mail program'
  printf 'Line 1 stopped at 04:12.\n.\nThat was a dot on a line of its own.\n' |
    bash "$folder/report.sh" 127.0.0.1 $SMTP line1@plant.example operator@plant.example 'Line 1 stopped'
  arrived
  ems mail read $sent --user operator
fi

if have msmtp; then
  step 'Programs that call sendmail: msmtp in its place (msmtprc is to be /etc/msmtprc)'
  sed "s/mail.plant.example/127.0.0.1/; s/^port .*/port $SMTP/" "$folder/msmtprc" >"$work/msmtprc"
  printf 'To: operator@plant.example\nSubject: cron\n\nDone.\n' | msmtp --file="$work/msmtprc" --read-recipients
  arrived
fi

if have python3; then
  step 'A device that ends its lines with LF alone: repaired, since smtp.bareNewline says so'
  python3 - $SMTP <<'PROGRAM'
import socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as s, s.makefile("rb") as replies:
    replies.readline()
    for command in (b"HELO old", b"MAIL FROM:<old@plant.example>", b"RCPT TO:<scans@plant.example>", b"DATA",
                    b"Subject: old\n\nline\nline\r\n."):
        s.sendall(command + b"\r\n")
        print(replies.readline().decode().rstrip())
PROGRAM
  arrived
fi

if have swaks; then
  step 'swaks shows the whole dialogue: what a device gets to hear'
  swaks --server "127.0.0.1:$SMTP" --from test@plant.example --to scans@plant.example --hide-informational
  arrived
  step 'Nobody reaches the world through this port'
  swaks --server "127.0.0.1:$SMTP" --from test@plant.example --to someone@elsewhere.example --quit-after RCPT \
    --hide-informational && exit 1
  logged 'reply="550 5.7.1"'
fi

step 'What there is'
ems mail list --user operator
