"""The DNS server of the cloud: questions over UDP and TCP, answered from Route 53's zones."""

from __future__ import annotations

import logging
import socket
import socketserver
import threading
from collections.abc import Callable
from contextlib import suppress

import dns.exception
import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
from dns.name import Name
from dns.rdatatype import RdataType

from localcloud.forwarders import Place
from localcloud.zone_answers import Reply, Unanswerable

LOG = logging.getLogger("localcloud.names")
UDP_BYTES = 1232  # what passes everywhere without fragments (DNS flag day 2020); 512 for who does not say more
TCP_BYTES = 65535
IDLE_SECONDS = 10
_HEADER_BYTES = 12
_TRANSFERS = (dns.rdatatype.AXFR, dns.rdatatype.IXFR)

Lookup = Callable[[Name, RdataType], Reply]


class NameServer:
    """A name server that holds its place from the start (OSError when that is taken) and answers once it is started."""

    def __init__(self, place: Place, lookup: Lookup) -> None:
        class OverUdp(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                wire, listening = self.request
                reply = answered(wire, lookup, limit=UDP_BYTES)
                if reply is not None:
                    with suppress(OSError):
                        listening.sendto(reply, self.client_address)

        class OverTcp(socketserver.StreamRequestHandler):
            timeout = IDLE_SECONDS

            def handle(self) -> None:
                with suppress(OSError):
                    while len(head := self.rfile.read(2)) == 2:
                        wire = self.rfile.read(int.from_bytes(head, "big"))
                        reply = answered(wire, lookup, limit=TCP_BYTES)
                        if reply is None:
                            return
                        self.wfile.write(len(reply).to_bytes(2, "big") + reply)

        self._servers: list[socketserver.BaseServer] = [_Udp(place, OverUdp)]
        try:
            self._servers.append(_Tcp(place, OverTcp))
        except OSError:
            self._servers[0].server_close()
            raise

    def start(self) -> None:
        """Answer, what came in before included."""
        for server in self._servers:
            threading.Thread(target=server.serve_forever, args=(0.1,), name="names", daemon=True).start()

    def close(self) -> None:
        """Stop answering and give the place free; call it once, after `start`."""
        for server in self._servers:
            server.shutdown()
            server.server_close()


class _Udp(socketserver.ThreadingUDPServer):
    daemon_threads = True
    block_on_close = False


class _Tcp(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = socket.SOMAXCONN


def answered(wire: bytes, lookup: Lookup, *, limit: int) -> bytes | None:
    """Return the answer to a question in wire form, cut to what its asker takes; None where none may be given."""
    if len(wire) < _HEADER_BYTES or wire[2] & 0x80:  # an answer to an answer could go round for ever
        return None
    try:
        query = dns.message.from_wire(wire)
    except dns.exception.DNSException:
        return wire[:2] + bytes([0x80 | (wire[2] & 0x79), dns.rcode.FORMERR]) + bytes(8)
    response = dns.message.make_response(query, our_payload=UDP_BYTES)
    _fill(response, query, lookup)
    if limit < TCP_BYTES:
        limit = max(512, min(query.payload, limit)) if query.edns >= 0 else 512
    return response.to_wire(max_size=limit, prefer_truncation=True)


def _fill(response: dns.message.Message, query: dns.message.Message, lookup: Lookup) -> None:
    if query.edns > 0:
        response.set_rcode(dns.rcode.BADVERS)
    elif query.opcode() != dns.opcode.QUERY:
        response.set_rcode(dns.rcode.NOTIMP)
    elif len(query.question) != 1:
        response.set_rcode(dns.rcode.FORMERR)
    elif query.question[0].rdclass != dns.rdataclass.IN or query.question[0].rdtype in _TRANSFERS:
        response.set_rcode(dns.rcode.REFUSED)
    else:
        question = query.question[0]
        try:
            reply = lookup(question.name, question.rdtype)
        except Unanswerable as reason:
            LOG.warning("SERVFAIL: %s", reason)
            reply = Reply(rcode=dns.rcode.SERVFAIL, authoritative=False)
        except Exception:
            LOG.exception("the question %s failed", question)
            reply = Reply(rcode=dns.rcode.SERVFAIL, authoritative=False)
        response.set_rcode(reply.rcode)
        if reply.authoritative:
            response.flags |= dns.flags.AA
        response.answer, response.authority = reply.answer, reply.authority
