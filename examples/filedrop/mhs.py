#!/usr/bin/env python3
"""A small system beside EMSmail, joined by two folders: python3 mhs.py FROM-EMS TO-EMS MAIL

It takes each message out of FROM-EMS (EMSmail's `out`), checks it, and keeps it as MAIL/USER@WORKGROUP/ID.head with its
body. Whoever wrote gets an answer by TO-EMS (EMSmail's `in`). It needs nothing but Python, and shows all that another
system has to do:

- a message is there when its head file is: EMSmail writes that last
- a name that was taken before is the same message again, after a crash: it is not taken twice
- what goes to EMSmail is written the same way: the body, then the head under another name, then the head renamed
"""

import hashlib
import os
import signal
import sys
import time


def read_head(path):
    """The lines of a head file: a list of values for each name."""
    values = {}
    with open(path, encoding="utf-8") as file:
        for line in file:
            name, _, value = line.rstrip("\n").partition(":")
            values.setdefault(name.lower(), []).append(value.strip())
    return values


def write(path, octets):
    with open(path, "wb") as file:
        file.write(octets)
        file.flush()
        os.fsync(file.fileno())


def sync(folder):
    handle = os.open(folder, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)


def put(folder, name, head, body):
    """Hands a message to EMSmail. The same name again takes the place of the first."""
    write(f"{folder}/{name}.body", body)
    lines = [("Version", "1"), *head, ("Octets", len(body)), ("SHA-256", hashlib.sha256(body).hexdigest())]
    write(f"{folder}/.{name}.head.tmp", "".join(f"{key}: {value}\n" for key, value in lines).encode())
    sync(folder)
    os.rename(f"{folder}/.{name}.head.tmp", f"{folder}/{name}.head")
    sync(folder)


def answer(folder, name, user, head):
    """Says that a message has come. Nobody is told twice, and no system is answered."""
    writer = head["return-path"][0]
    if writer == "<>" or not head.get("part", ["1/1"])[0].startswith("1/"):
        return
    lines = [("From", user), ("To", writer), ("Subject", "Re: " + head.get("subject", [""])[0])]
    if "message-id" in head:
        lines.append(("In-Reply-To", head["message-id"][0]))
    # So that two systems that answer each other come to an end.
    lines.append(("Hops", int(head["hops"][0]) + 1))
    put(folder, name, lines, f"It has come to {user}.\n".encode())


def take(folder, answers, mail, name):
    """Takes one message, for each of its recipients."""
    stem = name[: -len(".head")]
    head = read_head(f"{folder}/{name}")
    body_name = head["body"][0]
    with open(f"{folder}/{body_name}", "rb") as file:
        body = file.read()
    if len(body) != int(head["octets"][0]) or hashlib.sha256(body).hexdigest() != head["sha-256"][0]:
        raise ValueError(f"{body_name} is not what {name} says")
    for place, user in enumerate(head["to"]):
        box = f"{mail}/{user.replace('/', '_')}"
        os.makedirs(box, exist_ok=True)
        if os.path.exists(f"{box}/{name}"):
            continue
        write(f"{box}/{body_name}", body)
        answer(answers, f"re-{stem}-{place}", user, head)
        with open(f"{folder}/{name}", "rb") as file:
            write(f"{box}/.{name}.tmp", file.read())
        os.rename(f"{box}/.{name}.tmp", f"{box}/{name}")
        sync(box)
    # The head first: a body without one is nobody's message.
    os.remove(f"{folder}/{name}")
    os.remove(f"{folder}/{body_name}")


def main():
    folder, answers, mail = sys.argv[1:]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    told = set()
    while True:
        for name in sorted(os.listdir(folder)):
            if name.startswith(".") or not name.endswith(".head"):
                continue
            try:
                take(folder, answers, mail, name)
            except (OSError, ValueError, KeyError) as error:
                if name not in told:
                    print(f"{name}: {error!r}", file=sys.stderr, flush=True)
                told.add(name)
        time.sleep(0.3)


if __name__ == "__main__":
    main()
