"""Sound and pictures as the native half of LiveKit's SDK hands them over: in buffers of its own."""

import asyncio
import ctypes
from itertools import count
from typing import Any

import cv2
import numpy as np
from livekit import rtc
from livekit.rtc import _ffi_client
from livekit.rtc._proto import audio_frame_pb2, video_frame_pb2
from livekit.rtc._proto.ffi_pb2 import FfiEvent
from numpy.typing import NDArray

from tests.fakes import voice
from vfd.types import SAMPLE_RATE_HZ, Rgb

SOUND_S, PICTURE_S = 0.01, 1 / 15


class Frames:
    """Everybody says the same and shows a grey picture, unless the test says otherwise."""

    def __init__(self) -> None:
        self.queue: _ffi_client.FfiQueue[FfiEvent] = _ffi_client.FfiQueue()
        self.rgb: dict[str, Rgb] = {}
        self.silent: set[str] = set()
        self.converted = 0
        self._handles = count(100)
        self._streams: dict[int, tuple[str, str]] = {}  # by handle: kind, and sid of the track
        self._buffers: dict[int, NDArray[Any]] = {}

    @property
    def buffers(self) -> int:
        """Frames that nobody has let go."""
        return len(self._buffers)

    @property
    def open_streams(self) -> int:
        return len(self._streams)

    async def play(self) -> None:
        """Sends to every stream that is open, until cancelled."""
        samples = (voice(4.0) * 32_767).astype(np.int16)
        loop = asyncio.get_running_loop()
        start_s, sounds, pictures = loop.time(), 0, 0
        while True:
            await asyncio.sleep(0.005)
            while sounds * SOUND_S < loop.time() - start_s:
                size = round(SOUND_S * SAMPLE_RATE_HZ)
                part = np.arange(sounds * size, (sounds + 1) * size)
                self.send("audio", np.take(samples, part, mode="wrap"))
                sounds += 1
            while pictures * PICTURE_S < loop.time() - start_s:
                self.send("video", None)
                pictures += 1

    def send(self, kind: str, samples: NDArray[np.int16] | None) -> None:
        """One frame to every stream of that kind."""
        for handle, (wanted, sid) in list(self._streams.items()):
            identity = sid.split("_")[1]
            if wanted != kind or (identity in self.silent and kind == "audio"):
                continue
            event = FfiEvent()
            told = getattr(event, f"{kind}_stream_event")
            told.stream_handle = handle
            if samples is not None:
                self._fill_sound(told.frame_received.frame, samples)
            else:
                told.frame_received.timestamp_us = 0
                told.frame_received.rotation = 0
                rgb = self.rgb.get(identity, np.full((120, 160, 3), 160, np.uint8))
                self._fill_picture(told.frame_received.buffer, rgb)
            self.queue.put(event)

    def _fill_sound(
        self, frame: audio_frame_pb2.OwnedAudioFrameBuffer, samples: NDArray[np.int16]
    ) -> None:
        frame.handle.id = self._kept(samples)
        frame.info.data_ptr = samples.ctypes.data
        frame.info.num_channels, frame.info.sample_rate = 1, SAMPLE_RATE_HZ
        frame.info.samples_per_channel = len(samples)

    def _fill_picture(self, buffer: Any, rgb: Rgb) -> None:  # noqa: ANN401 - a message
        planes = np.ascontiguousarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420))
        buffer.handle.id = self._kept(planes)
        buffer.info.type = rtc.VideoBufferType.I420
        buffer.info.height, buffer.info.width = rgb.shape[:2]
        buffer.info.data_ptr = planes.ctypes.data

    def _kept(self, data: NDArray[Any]) -> int:
        handle = next(self._handles)
        self._buffers[handle] = data
        return handle

    def _video_convert(self, request: Any, response: Any) -> None:  # noqa: ANN401 - messages
        self.converted += 1
        info: video_frame_pb2.VideoBufferInfo = request.buffer
        assert info.type == rtc.VideoBufferType.I420
        size = info.width * info.height * 3 // 2
        planes = np.array((ctypes.c_uint8 * size).from_address(info.data_ptr))
        rgb = cv2.cvtColor(planes.reshape(-1, info.width), cv2.COLOR_YUV2RGB_I420)
        response.buffer.handle.id = self._kept(rgb)
        response.buffer.info.type = request.dst_type
        response.buffer.info.width, response.buffer.info.height = info.width, info.height
        response.buffer.info.data_ptr = rgb.ctypes.data
