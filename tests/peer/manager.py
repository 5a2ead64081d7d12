"""An osquery extension manager, on osquery's official bindings.

It shares no code with the extension that it tests: it registers extensions,
pings them and calls their tables as osqueryd does.
"""

import os
import random
import socket
import struct
import threading

from osquery.extension_client import ExtensionClient
from osquery.extensions import ExtensionManager
from osquery.extensions.ttypes import ExtensionStatus, InternalExtensionInfo
from thrift.protocol.TBinaryProtocol import TBinaryProtocol
from thrift.transport.TSocket import TSocket
from thrift.transport.TTransport import TBufferedTransport, TTransportException


class Manager(ExtensionManager.Iface):
    """Listens at `path`; `infos` and `registries` are what is registered, by uuid."""

    def __init__(self, path):
        self.path = path
        self.infos = {}
        self.registries = {}
        # While set, requests are read by nobody.
        self.silent = threading.Event()
        self.open = []
        self.listener = None
        self.listen()

    # What extensions call.

    def ping(self):
        return ExtensionStatus(code=0, message="OK", uuid=0)

    def extensions(self):
        return dict(self.infos)

    def options(self):
        return {}

    def registerExtension(self, info, registry):
        # osquery/extensions/interface.cpp: one extension of a name.
        if any(other.name == info.name for other in self.infos.values()):
            return ExtensionStatus(code=1, message="Duplicate extension registered")
        uuid = random.randint(1, 65535)
        self.infos[uuid] = info
        self.registries[uuid] = registry
        return ExtensionStatus(code=0, message="OK", uuid=uuid)

    def deregisterExtension(self, uuid):
        self.registries.pop(uuid, None)
        if self.infos.pop(uuid, None) is None:
            return ExtensionStatus(code=1, message="No extension UUID registered")
        return ExtensionStatus(code=0, message="OK", uuid=0)

    # What a test does to it.

    def listen(self):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(32)
        threading.Thread(target=self.accept, args=[self.listener], daemon=True).start()

    def accept(self, listener):
        processor = ExtensionManager.Processor(self)
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self.open.append(connection)
            threading.Thread(target=self.serve, args=[processor, connection], daemon=True).start()

    def serve(self, processor, connection):
        client = TSocket()
        client.setHandle(connection)
        protocol = TBinaryProtocol(TBufferedTransport(client))
        try:
            while True:
                if self.silent.is_set():
                    return  # leaves the connection open, and unread
                processor.process(protocol, protocol)
        except (TTransportException, OSError, EOFError):
            connection.close()

    def stop(self):
        """As a worker that was killed: nobody listens, and nothing is remembered."""
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self.open:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.open = []
        os.unlink(self.path)
        self.infos = {}
        self.registries = {}

    def uuid(self, name="dsplug"):
        """The uuid of the extension of that name; None while there is none."""
        for uuid, info in list(self.infos.items()):
            if info.name == name:
                return uuid
        return None


class Extension:
    """A connection to an extension, as osqueryd makes one for each call."""

    def __init__(self, manager, uuid, timeout=15):
        self.client = ExtensionClient(manager.path, uuid)
        self.client._transport._TBufferedTransport__trans.setTimeout(timeout * 1000)
        if not self.client.open(timeout=0.2, interval=0.05):
            raise ConnectionError(f"nobody listens at {manager.path}.{uuid}")

    def __enter__(self):
        return self.client.extension_client()

    def __exit__(self, *_):
        self.client.close()


def dead_entry(manager, name="dsplug"):
    """What an extension that was killed leaves: an entry, and its socket's file."""
    uuid = random.randint(1, 65535)
    manager.infos[uuid] = InternalExtensionInfo(
        name=name, version="0", sdk_version="0", min_sdk_version="0"
    )
    left = socket.socket(socket.AF_UNIX)
    left.bind(f"{manager.path}.{uuid}")
    left.close()
    return uuid


def hostile_requests():
    """Messages whose lengths, counts, depth, types or kind are not to be believed."""
    call = b"\x80\x01\x00\x01" + struct.pack(">i", 4) + b"call" + struct.pack(">i", 1)
    for length in (0x7FFFFFFF, -1, 0x40000000):
        size = struct.pack(">i", length)
        yield "name", b"\x80\x01\x00\x01" + size
        yield "text", call + b"\x0b\x00\x01" + size
        yield "map", call + b"\x0d\x00\x03\x0b\x0b" + size
        yield "number for a text", call + b"\x0a\x00\x01" + size + b"\x00" * 5
        yield "uuid for a map", call + b"\x10\x00\x03\x0b\x0b" + size + b"\x00" * 11
        yield "message in a uuid", call + b"\x10\x10\x10\x80\x01\x00\x01" + size + b"\x00" * 9
        yield "list of bytes", call + b"\x0f\x00\x03\x03" + size
        yield "list of structs", call + b"\x0f\x00\x03\x0c" + size
    yield "depth", call + b"\x0c\x00\x01" * 100_000
    yield "type", call + b"\x7f\x00\x01" + b"\x00" * 64
    yield "reply", b"\x80\x01\x00\x02" + struct.pack(">i", 4) + b"ping" + b"\x00" * 5
    yield "old protocol", struct.pack(">i", 4) + b"ping\x01" + b"\x00" * 5
    yield "another protocol", b"GET / HTTP/1.1\r\nHost: osquery\r\n\r\n"
    yield "nothing but zeros", b"\x00" * 4096
    yield "large", call + b"\x0b\x00\x01" + struct.pack(">i", 64 << 20) + b"x" * (64 << 20)
