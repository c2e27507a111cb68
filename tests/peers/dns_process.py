"""A name server for one name: ``python dns_process.py ADDRESS FILE``. It reads FILE anew for each question.

FILE holds an IPv4 address, or one of ``NXDOMAIN``, ``SERVFAIL`` and ``SILENT``. It listens on port 53 of ADDRESS, UDP,
and says so with a line on standard output. Answers may be kept for no time at all. For each question about an IPv4
address FILE.asked grows by a byte.
"""

from __future__ import annotations

import socket
import struct
import sys
from pathlib import Path

A_RECORD = 1
CODES = {"SERVFAIL": 2, "NXDOMAIN": 3}


def asks_address(question: bytes) -> bool:
    end = question.index(b"\0", 12) + 5
    return bool(struct.unpack_from("!H", question, end - 4)[0] == A_RECORD)


def answer(question: bytes, held: str) -> bytes:
    """Return the answer to a question with one name in it."""
    end = question.index(b"\0", 12) + 5
    address = asks_address(question) and held not in CODES
    # An answer, recursion available, to the same question and no other.
    head = question[:2] + struct.pack("!HHHHH", 0x8180 | CODES.get(held, 0), 1, int(address), 0, 0)
    record = struct.pack("!HHHIH", 0xC00C, A_RECORD, 1, 0, 4) + socket.inet_aton(held) if address else b""
    return head + question[12:end] + record


def main() -> None:
    file = Path(sys.argv[2])
    listening = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listening.bind((sys.argv[1], 53))
    sys.stdout.write("listening\n")
    sys.stdout.flush()
    while True:
        question, asker = listening.recvfrom(512)
        if asks_address(question):
            with file.with_name(file.name + ".asked").open("ab") as asked:
                asked.write(b".")
        held = file.read_text(encoding="ascii").strip()
        if held != "SILENT":
            listening.sendto(answer(question, held), asker)


if __name__ == "__main__":
    main()
