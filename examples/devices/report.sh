#!/bin/bash
# Mails its input without any mail program, by SMTP over bash's own sockets.
#   report.sh HOST PORT FROM TO SUBJECT <text
set -eu
host=$1 port=$2 from=$3 to=$4 subject=$5

exec 3<>"/dev/tcp/$host/$port"

# Reads one reply, which may have several lines, and gives up unless it begins with the code that is due.
reply() {
  local line
  while IFS= read -r -t 60 line <&3; do
    line=${line%$'\r'}
    [[ $line == ???-* ]] && continue
    [[ $line == "$1"* ]] && return
    break
  done
  echo "report.sh: $host said: ${line:-nothing}" >&2
  exit 1
}
say() { printf '%s\r\n' "$2" >&3; reply "$1"; }

reply 220
say 250 "HELO $(hostname)"
say 250 "MAIL FROM:<$from>"
say 250 "RCPT TO:<$to>"
say 354 DATA
{
  printf 'From: <%s>\nTo: <%s>\nSubject: %s\nDate: %s\n\n' "$from" "$to" "$subject" "$(LC_ALL=C date -R)"
  cat
  # Lines end with CR LF, and a dot in front of a line is doubled (RFC 5321 4.5.2), or it would end the message.
} | sed 's/\r$//; s/^\./../; s/$/\r/' >&3
say 250 .
say 221 QUIT
