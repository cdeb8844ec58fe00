"""Real servers of streams, and those who publish to them."""

import asyncio
import contextlib
import getpass
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.peers import free_port
from tests.programs import missing, program
from tests.talking_files import talking

START_TIMEOUT_S = 20.0
SYSTEM_PYTHON = "/usr/bin/python3"  # Debian's GObject bindings are nobody else's
RTMP_MODULE = Path("/usr/lib/nginx/modules/ngx_rtmp_module.so")


@dataclass(frozen=True)
class Nginx:
    """`folder`: what its HTTP server shows."""

    folder: Path
    rtmp_port: int
    http_port: int

    @property
    def rtmp(self) -> str:
        return f"rtmp://127.0.0.1:{self.rtmp_port}/live"

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"


def ffmpeg() -> str:
    return program("FFmpeg", ("ffmpeg",), "ffmpeg")


@asynccontextmanager
async def running(*command: str, log: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """A program that runs until the block ends, or by itself before."""
    with log.open("ab") as file:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=file, stderr=file
        )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@asynccontextmanager
async def nginx(folder: Path) -> AsyncIterator[Nginx]:
    """With RTMP, HLS of what is published, and the control module."""
    found = program("nginx", ("nginx", "/usr/sbin/nginx"), "nginx")
    server = Nginx(folder, free_port(), free_port())
    command = (found, "-p", str(folder), "-c", str(_configured(server)))
    async with running(*command, log=folder / "nginx.log") as process:
        await _answering(server.rtmp_port, process, folder / "nginx.log")
        yield server


def _configured(server: Nginx) -> Path:
    if not RTMP_MODULE.exists():
        missing("nginx's RTMP module", "libnginx-mod-rtmp")
    server.folder.mkdir(parents=True, exist_ok=True)
    path = server.folder / "nginx.conf"
    values = {
        "MODULE": str(RTMP_MODULE),
        "USER": getpass.getuser(),
        "FOLDER": str(server.folder),
        "RTMP_PORT": str(server.rtmp_port),
        "HTTP_PORT": str(server.http_port),
    }
    text = _NGINX
    for name, value in values.items():
        text = text.replace(name, value)
    path.write_text(text)
    return path


@asynccontextmanager
async def rtsp_server(folder: Path, media: Path) -> AsyncIterator[str]:
    """GStreamer's, with `media` (Matroska of H.264 and Opus) at the URL that is given."""
    program("Python with GObject", (SYSTEM_PYTHON,), "python3-gi")
    check = await asyncio.create_subprocess_exec(
        SYSTEM_PYTHON, "-c", _GSTREAMER, stderr=asyncio.subprocess.DEVNULL
    )
    if await check.wait():
        missing("GStreamer's RTSP server", "gir1.2-gst-rtsp-server-1.0")
    port, log = free_port(), folder / "rtsp.log"
    command = (SYSTEM_PYTHON, "-c", _GSTREAMER + _RTSP, str(port), str(media))
    async with running(*command, log=log) as process:
        await _answering(port, process, log)
        yield f"rtsp://127.0.0.1:{port}/talk"


@asynccontextmanager
async def publishing(
    source: Path, *output: str, log: Path
) -> AsyncIterator[asyncio.subprocess.Process]:
    """FFmpeg sends `source`, again and again, at its own pace; `output`: its arguments."""
    command = (ffmpeg(), "-loglevel", "error", "-re", "-stream_loop", "-1", "-i", str(source))
    async with running(*command, *output, log=log) as process:
        yield process


def prepared(path: Path, *arguments: str, source: Path | None = None, times: int = 1) -> Path:
    """Somebody talks, or `source`, so many `times`; encoded by FFmpeg with `arguments`, a keyframe
    every second."""
    source = source or talking(path.with_name(f"{path.stem}-source.mp4"), seconds=4.0)
    codec = ("-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "10")
    loop = ("-stream_loop", str(times - 1))
    subprocess.run(
        [ffmpeg(), "-loglevel", "error", "-y", *loop, "-i", source, *codec, *arguments, path],
        check=True,
        timeout=60,
    )
    return path


async def _answering(port: int, process: asyncio.subprocess.Process, log: Path) -> None:
    async with asyncio.timeout(START_TIMEOUT_S):
        while True:
            assert process.returncode is None, _said(log)
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.05)


def _said(log: Path) -> str:
    return log.read_text(errors="replace")[-3_000:]


_NGINX = """
user USER;
daemon off;
worker_processes 1;
pid FOLDER/nginx.pid;
error_log FOLDER/error.log info;
load_module MODULE;
events { worker_connections 64; }
rtmp { server { listen 127.0.0.1:RTMP_PORT; application live {
    live on;
    hls on; hls_path FOLDER/hls; hls_fragment 1s; hls_playlist_length 5s;
    dash on; dash_path FOLDER/dash; dash_fragment 1s; dash_playlist_length 5s;
} } }
http {
    access_log off;
    client_body_temp_path FOLDER/t1; proxy_temp_path FOLDER/t2; fastcgi_temp_path FOLDER/t3;
    uwsgi_temp_path FOLDER/t4; scgi_temp_path FOLDER/t5;
    types { application/vnd.apple.mpegurl m3u8; application/dash+xml mpd; video/mp2t ts; }
    server {
        listen 127.0.0.1:HTTP_PORT;
        location /control { rtmp_control all; }
        location / { root FOLDER; }
    }
}
"""

_GSTREAMER = """
import gi
gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer
"""

_RTSP = """
import sys
Gst.init(None)
server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service(sys.argv[1])
factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch(
    f"( filesrc location={sys.argv[2]} ! matroskademux name=media"
    " media.video_0 ! queue ! h264parse ! rtph264pay name=pay0 pt=96"
    " media.audio_0 ! queue ! rtpopuspay name=pay1 pt=97 )"
)
server.get_mount_points().add_factory("/talk", factory)
server.attach(None)
GLib.MainLoop().run()
"""
