#!/bin/sh
# Tries the office on this machine: starts it and a small system beside it, and sends mail from one to the other and back.
. "$(dirname "$0")/../common.sh"

step 'The folders that both systems share'
mkdir "$work/from-ems" "$work/to-ems" "$work/mhs"
sed -e "s|/var/spool/mhs|$work|" "$work/emsmail.yaml" >"$work/moved" && mv "$work/moved" "$work/emsmail.yaml"
ls -d "$work"/*-ems

step 'Two people, and the server'
add_user alice 'correct horse 1'
add_user bob 'correct horse 2'
start

step 'Where mail for Jane goes'
ems route jane@sales.mhs.office.example
"$EMSMAIL" topology --config "$work/emsmail.yaml"

step 'Bob writes to Jane, with a file'
head -c 5000 /dev/urandom >"$work/figures.bin"
ems mail send --user bob --attach "$work/figures.bin" <<NOTE
/TO jane@sales
/SUBJECT Figures

The figures of this month.
NOTE
# until_there PATTERN: waits for a file
until_there() {
  for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    for found in $1; do [ -e "$found" ] && return; done
    sleep 0.25
  done
  echo "there never was $1" >&2
  exit 1
}
# A text and a file: two messages there.
until_there "$work/from-ems/*.head"
cat "$work"/from-ems/*.head

have python3 || exit 0
step 'The system beside it takes them, and answers'
python3 "$folder/mhs.py" "$work/from-ems" "$work/to-ems" "$work/mhs" &
peers="$peers $!"
wait_for bob 1
ems mail list --user bob
ems mail read 1 --user bob

step 'The file has come as it was'
for _ in 1 2 3 4 5 6 7 8; do
  found=$(grep -l 'File: figures.bin' "$work"/mhs/jane@sales/*.head || true)
  [ -n "$found" ] && break
  sleep 0.25
done
cmp "$work/figures.bin" "${found%.head}.body"

step 'Bob answers the answer: it goes back to Jane, and he hears again'
echo 'Thank you.' | ems mail reply 1 --user bob
wait_for bob 2
grep -h '^Subject\|^To' "$work"/mhs/jane@sales/*.head

step 'What is wrong is put aside, with the reason'
printf 'From: jane@sales\nTo: bib\n' >"$work/to-ems/1.head"
echo 'Hello.' >"$work/to-ems/1.body"
until_there "$work/to-ems/bad/1.head"
cat "$work/to-ems/bad/1.error"
