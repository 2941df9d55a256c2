"""A TCP proxy whose network misbehaves on command.
    proxy.py LISTEN_PORT TARGET_PORT MODE_FILE
MODE_FILE holds one of these, and is looked at again all the time:
    through         as a good network does
    delay MS        every piece of data arrives MS later
    throttle BYTES  so many bytes a second and direction
    half            connections stay open and nothing comes through: what a cable that was pulled looks like
    cut             connections are reset, new ones too
"""
import asyncio
import logging
import os
import signal
import socket
import struct
import sys

PIECE = 65536
LOOK_S = 0.02


def mode(path):
    try:
        with open(path, encoding="ascii") as file:
            words = file.read().split()
    except OSError:
        words = []
    return (words[0] if words else "through"), float(words[1]) if len(words) > 1 else 0.0


async def pump(reader, writer, path):
    """One direction; ends with the connection."""
    while True:
        kind, number = mode(path)
        data = await reader.read(max(1, int(number / 10)) if kind == "throttle" else PIECE)
        if not data:
            break
        kind, number = mode(path)
        if kind == "delay":
            await asyncio.sleep(number / 1000)
        if kind == "throttle":
            await asyncio.sleep(len(data) / number)
        while mode(path)[0] == "half":
            await asyncio.sleep(LOOK_S)
        writer.write(data)
        await writer.drain()
    writer.close()


def reset(writer):
    """RST instead of FIN: what is under way is lost."""
    sock = writer.get_extra_info("socket")
    try:
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    except OSError:  # the other end was quicker
        pass
    writer.transport.abort()


async def until_cut(path):
    while mode(path)[0] != "cut":
        await asyncio.sleep(LOOK_S)


async def serve(reader, writer, target, path):
    ends = [writer]
    try:
        if mode(path)[0] == "cut":
            return
        there, back = await asyncio.open_connection("127.0.0.1", target)
        ends.append(back)
        tasks = [asyncio.ensure_future(t) for t in
                 (pump(reader, back, path), pump(there, writer, path), until_cut(path))]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    except OSError:
        pass
    finally:
        for end in ends:
            reset(end)


async def main():
    listen, target, path = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    server = await asyncio.start_server(lambda r, w: serve(r, w, target, path), "127.0.0.1", listen)
    async with server:
        await server.serve_forever()


logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # connections that break are what this is for
signal.signal(signal.SIGTERM, lambda number, frame: os._exit(0))
signal.signal(signal.SIGINT, lambda number, frame: os._exit(0))
try:
    asyncio.run(main())
except OSError as error:
    sys.exit(f"proxy.py: port {sys.argv[1]}: {error}")
