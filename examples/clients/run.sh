#!/bin/sh
# Tries this folder's files with those of the programs that are here, against a server on this machine.
. "$(dirname "$0")/../common.sh"

add_user alice secret
add_user bob 'correct horse'
start

# A home for the programs, with what their files expect in it.
home=$work/home
mkdir -p "$home/.config" "$home/Maildir/cur" "$home/Maildir/new" "$home/Maildir/tmp"
cp "$cert" "$home/.config/emsmail.pem"
echo secret >"$home/.config/emsmail-password"

# Puts a file into that home, with this machine's name and ports in it: settle FILE PLACE
settle() {
  mkdir -p "$(dirname "$home/$2")"
  sed "s|mail\.example\.org|localhost|; s|~|$home|g; s/\b587\b/$SUBMISSION/; s/\b465\b/$SUBMISSIONS/; s/\b995\b/$POP3S/" \
    "$folder/$1" >"$home/$2"
  chmod 600 "$home/$2"
}
message() { printf 'From: Alice <alice@example.org>\nTo: %s@example.org\nSubject: %s\n\nHello.\n' "$1" "$2"; }
to_alice=0
to_bob=0
# Every message gets one more for alice, so that each program has something new to fetch.
fetchable() {
  to_alice=$((to_alice + 1))
  message alice "$1" | HOME=$home curl --silent --show-error --crlf --mail-from a@example.org \
    --mail-rcpt alice@example.org --upload-file - "smtp://127.0.0.1:$SMTP"
  wait_for alice $to_alice
}
sent() {
  to_bob=$((to_bob + 1))
  wait_for bob $to_bob
  echo "sent with $1"
}
# fetched PROGRAM FILE-OR-FOLDER SUBJECT
fetched() {
  if ! grep -rq "^Subject: $3" "$2"; then
    echo "$1 fetched nothing" >&2
    exit 1
  fi
  echo "fetched with $1"
}

step Sending
if have msmtp; then
  settle msmtprc .msmtprc
  message bob msmtp | HOME=$home msmtp --file="$home/.msmtprc" --read-recipients
  sent msmtp
fi
if have s-nail; then
  settle mailrc .mailrc
  settle netrc .netrc
  echo Hello. | HOME=$home NETRC=$home/.netrc MAILRC=$home/.mailrc s-nail -s s-nail bob@example.org
  sent s-nail
fi

step Fetching
have curl || exit 0
if have mpop; then
  settle mpoprc .mpoprc
  fetchable for-mpop
  HOME=$home mpop --file="$home/.mpoprc" --quiet
  fetched mpop "$home/Maildir/new" for-mpop
fi
if have fetchmail; then
  settle fetchmailrc .fetchmailrc
  # In procmail's place, a file.
  sed -i "s|procmail -d %T|cat >>$home/box|" "$home/.fetchmailrc"
  fetchable for-fetchmail
  HOME=$home fetchmail --fetchmailrc "$home/.fetchmailrc" --idfile "$home/.fetchids" --pidfile "$home/.fetchmail.pid" \
    --nodetach --silent
  fetched fetchmail "$home/box" for-fetchmail
fi
if have getmail; then
  settle getmailrc .config/getmail/getmailrc
  fetchable for-getmail
  as=
  if [ "$(id -u)" = 0 ]; then
    as='runuser -u nobody --'
    chmod 711 "$work"
    chown -R nobody "$home"
  fi
  (cd "$home" && HOME=$home $as getmail --quiet --getmaildir="$home/.config/getmail" --rcfile="$home/.config/getmail/getmailrc")
  fetched getmail "$home/Maildir/new" for-getmail
fi
if have s-nail; then
  fetchable for-s-nail
  printf 'from *\nx\n' | HOME=$home NETRC=$home/.netrc MAILRC=$home/.mailrc \
    s-nail -f "pop3s://alice@localhost:$POP3S" >"$home/list" 2>&1 || true
  if ! grep -q for-s-nail "$home/list"; then
    cat "$home/list" >&2
    exit 1
  fi
  echo "fetched with s-nail"
fi
