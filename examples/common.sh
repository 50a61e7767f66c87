# What the run.sh of each example shares; it is read with ".", not run.
#
# It serves a copy of the folder's emsmail.yaml with every listener moved to 127.0.0.1 and ports from 15110 to 15995,
# and with its data in a temporary folder. So a system that is already running, and its mail, are never touched.
# The program is dist/emsmail, or what EMSMAIL names.
set -eu

folder=$(cd "$(dirname "$0")" && pwd)
EMSMAIL=${EMSMAIL:-$folder/../../dist/emsmail}
if [ ! -x "$EMSMAIL" ]; then
  echo "there is no $EMSMAIL: run 'make build' first, or name the program in EMSMAIL" >&2
  exit 1
fi

SMTP=15525 SUBMISSION=15587 SUBMISSIONS=15465 POP3=15110 POP3S=15995
work=$(mktemp -d)
cert=$work/data/tls/cert.pem
server=
# Process ids of other programs that an example has started; they end with it.
peers=

finish() {
  code=$?
  trap - EXIT
  for peer in $peers; do
    kill "$peer" 2>/dev/null || true
    wait "$peer" 2>/dev/null || true
  done
  if [ -n "$server" ]; then
    kill "$server" 2>/dev/null || true
    wait "$server" || true
  fi
  [ "$code" = 0 ] || cat "$work/log" 2>/dev/null || true
  rm -rf "$work"
  exit "$code"
}
trap finish EXIT
trap 'exit 1' INT TERM

# The copy: a listener that is turned off stays off; one that is not named gets its port too.
{
  sed '/^listen:/,/^[^ #]/{/^listen:/d;/^ /d;}' "$folder/emsmail.yaml"
  echo 'listen:'
  for pair in smtp:$SMTP submission:$SUBMISSION submissions:$SUBMISSIONS pop3:$POP3 pop3s:$POP3S; do
    if grep -q "^  ${pair%:*}: \[\]" "$folder/emsmail.yaml"; then
      echo "  ${pair%:*}: []"
    else
      echo "  ${pair%:*}: [\"127.0.0.1:${pair#*:}\"]"
    fi
  done
} >"$work/emsmail.yaml"

ems() { "$EMSMAIL" "$@" --config "$work/emsmail.yaml" --data "$work/data"; }

# Prints a heading, so that the output reads as a story.
step() { printf '\n== %s\n' "$*"; }

# add_user NAME PASSWORD [OPTION...]
add_user() {
  name=$1 password=$2
  shift 2
  printf '%s\n' "$password" | ems user add "$name" --password-stdin "$@"
}

start() {
  # Not by ems: the process to be stopped is the program itself.
  "$EMSMAIL" serve --config "$work/emsmail.yaml" --data "$work/data" >"$work/out" 2>"$work/log" &
  server=$!
  for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    grep -q '^ready' "$work/out" && break
    kill -0 "$server" 2>/dev/null || { cat "$work/log" >&2; server=; exit 1; }
    sleep 0.25
  done
  cat "$work/out"
}

# Waits until NAME's maildrop holds COUNT messages: wait_for NAME COUNT
wait_for() {
  for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    [ "$(ems mail list --user "$1" --json | grep -c '"id"')" -ge "$2" ] && return
    sleep 0.25
  done
  echo "the maildrop of $1 never held $2 messages" >&2
  exit 1
}

# Shows the log's lines with a text in them, and waits for the first: logged TEXT
logged() {
  for _ in 1 2 3 4 5 6 7 8; do
    grep -F "$1" "$work/log" && return
    sleep 0.25
  done
  echo "the log never said $1" >&2
  exit 1
}

# Whether a program is here; says so where it isn't.
have() {
  command -v "$1" >/dev/null 2>&1 || { echo "(no $1 here: left out)"; return 1; }
}
