"""The native half of LiveKit's SDK and a server behind it, faked: everything of the SDK that is
Python is the real one, and gets what it asks for in its own messages."""

import asyncio
import ctypes
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, cast

from livekit import rtc
from livekit.rtc import _ffi_client
from livekit.rtc._proto import participant_pb2, room_pb2, track_pb2
from livekit.rtc._proto.ffi_pb2 import FfiEvent, FfiRequest, FfiResponse

from tests.livekit_frames import Frames
from vfd.types import SAMPLE_RATE_HZ

URL = "livekit+ws://127.0.0.1:7880?token=hunter2"
ROOM = 1


class FakeLiveKit(Frames):
    """Stands in for `FfiClient`. What the monitor asked for is in `asked`; the test says who comes,
    sends and goes."""

    def __init__(self) -> None:
        super().__init__()
        self._pid = os.getpid()  # as FfiHandle looks for it
        self._ffi_lib = self
        self.refusal = ""
        """Why nobody is let in; empty if they are."""
        self.token = ""
        self.joined = 0
        self.local = participant_pb2.ParticipantInfo(identity="monitor-7", name="as in the token")
        self.local.permission.can_subscribe = True
        self.local.permission.can_update_metadata = True
        self.people: dict[str, dict[str, track_pb2.TrackPublicationInfo]] = {}
        self.names: dict[str, str] = {}
        self.asked: list[tuple[str, str, object]] = []
        """Who, what, which: ("ben", "video", True) for a subscription, or with its quality."""
        self.subscribed: set[str] = set()
        self.failing: set[str] = set()
        """Tracks that no subscription brings."""
        self._numbers = count(1)
        self._publications: dict[int, tuple[str, str]] = {}
        self._tracks: dict[int, str] = {}

    def request(self, request: FfiRequest) -> FfiResponse:
        response = FfiResponse()
        name = request.WhichOneof("message")
        assert name is not None
        getattr(response, name).SetInParent()
        getattr(self, f"_{name}")(getattr(request, name), getattr(response, name))
        return response

    def livekit_ffi_drop_handle(self, handle: ctypes.c_uint64) -> bool:
        number = handle.value
        self._buffers.pop(number, None)
        if (stream := self._streams.pop(number, None)) is not None:
            event = FfiEvent()
            told = getattr(event, f"{stream[0]}_stream_event")
            told.stream_handle = number
            told.eos.SetInParent()
            self.queue.put(event)
        return True

    def arrive(
        self,
        identity: str,
        name: str,
        kinds: tuple[str, ...] = ("audio", "video"),
        **video: Any,  # noqa: ANN401
    ) -> None:
        """Somebody who publishes `kinds`; `video`: what else is true of their pictures, such as
        `simulcasted`."""
        self.names[identity] = name
        self.people[identity] = {}
        if self.joined:
            event = self._room_event()
            self._describe(event.room_event.participant_connected.info, identity)
            self.queue.put(event)
        for kind in kinds:
            self.publish(identity, kind, **(video if kind == "video" else {}))

    def publish(self, identity: str, kind: str, source: str = "", **more: Any) -> str:  # noqa: ANN401
        sid = f"TR_{identity}_{kind}{source}"
        sources = {
            "audio": rtc.TrackSource.SOURCE_MICROPHONE,
            "video": rtc.TrackSource.SOURCE_CAMERA,
        }
        kinds = {"audio": rtc.TrackKind.KIND_AUDIO, "video": rtc.TrackKind.KIND_VIDEO}
        self.people[identity][sid] = track_pb2.TrackPublicationInfo(
            sid=sid,
            kind=kinds[kind],
            source=rtc.TrackSource.Value(source) if source else sources[kind],
            **more,
        )
        if self.joined:
            event = self._room_event()
            told = event.room_event.track_published
            told.participant_identity = identity
            self._describe_track(told.publication, identity, sid)
            self.queue.put(event)
        return sid

    def leave(self, identity: str) -> None:
        del self.people[identity]
        event = self._room_event()
        event.room_event.participant_disconnected.participant_identity = identity
        self.queue.put(event)

    def put_out(self, reason: "rtc.DisconnectReason.ValueType") -> None:
        """Ends the stay of the monitor, as the server does."""
        for which in ("connection_state_changed", "disconnected", "eos"):
            event = self._room_event()
            getattr(event.room_event, which).SetInParent()
            if which == "disconnected":
                event.room_event.disconnected.reason = reason
            self.queue.put(event)
        self.joined -= 1

    def _room_event(self) -> FfiEvent:
        event = FfiEvent()
        event.room_event.room_handle = ROOM
        return event

    def _describe(self, owned: participant_pb2.OwnedParticipant, identity: str) -> None:
        owned.handle.id = next(self._handles)
        owned.info.identity, owned.info.name = identity, self.names[identity]

    def _describe_track(
        self, owned: track_pb2.OwnedTrackPublication, identity: str, sid: str
    ) -> None:
        owned.handle.id = next(self._handles)
        self._publications[owned.handle.id] = identity, sid
        owned.info.CopyFrom(self.people[identity][sid])

    def _connect(self, request: room_pb2.ConnectRequest, response: Any) -> None:  # noqa: ANN401
        assert not request.options.auto_subscribe
        self.token = request.token
        response.async_id = next(self._numbers)
        event = FfiEvent()
        event.connect.async_id = response.async_id
        if self.refusal:
            event.connect.error = self.refusal
        else:
            self.joined += 1
            result = event.connect.result
            result.room.handle.id = ROOM
            result.room.info.name = "standup"
            result.local_participant.handle.id = next(self._handles)
            result.local_participant.info.CopyFrom(self.local)
            for identity, tracks in self.people.items():
                person = result.participants.add()
                self._describe(person.participant, identity)
                for sid in tracks:
                    self._describe_track(person.publications.add(), identity, sid)
        self.queue.put(event)

    def _disconnect(self, _: Any, response: Any) -> None:  # noqa: ANN401
        self.joined -= 1
        response.async_id = next(self._numbers)
        gone, over = self._room_event(), FfiEvent()
        gone.room_event.eos.SetInParent()
        over.disconnect.async_id = response.async_id
        self.queue.put(gone)
        self.queue.put(over)

    def _ready_for_room_event(self, *_: Any) -> None:  # noqa: ANN401
        """Events may come."""

    def _set_local_name(self, request: Any, response: Any) -> None:  # noqa: ANN401
        self.local.name = request.name
        response.async_id = next(self._numbers)
        event = FfiEvent()
        event.set_local_name.async_id = response.async_id
        self.queue.put(event)

    def _set_subscribed(self, request: room_pb2.SetSubscribedRequest, _: Any) -> None:  # noqa: ANN401
        identity, sid = self._publications[request.publication_handle]
        info = self.people[identity][sid]
        kind = "audio" if info.kind == rtc.TrackKind.KIND_AUDIO else "video"
        self.asked.append((identity, kind, request.subscribe))
        if sid in self.failing:
            return
        event = self._room_event()
        if request.subscribe:
            self.subscribed.add(sid)
            told = event.room_event.track_subscribed
            told.track.handle.id = next(self._handles)
            self._tracks[told.track.handle.id] = sid
            told.track.info.sid, told.track.info.kind = sid, info.kind
        else:
            self.subscribed.discard(sid)
            event.room_event.track_unsubscribed.track_sid = sid
            told = event.room_event.track_unsubscribed
        told.participant_identity = identity
        self.queue.put(event)

    def _set_remote_track_publication_quality(self, request: Any, _: Any) -> None:  # noqa: ANN401
        identity, sid = self._publications[request.track_publication_handle]
        assert self.people[identity][sid].simulcasted
        self.asked.append((identity, "video", rtc.VideoQuality.Name(request.quality)))

    def _new_audio_stream(self, request: Any, response: Any) -> None:  # noqa: ANN401
        assert (request.sample_rate, request.num_channels) == (SAMPLE_RATE_HZ, 1)
        response.stream.handle.id = self._stream("audio", request.track_handle)

    def _new_video_stream(self, request: Any, response: Any) -> None:  # noqa: ANN401
        response.stream.handle.id = self._stream("video", request.track_handle)

    def _stream(self, kind: str, track_handle: int) -> int:
        handle = next(self._handles)
        self._streams[handle] = kind, self._tracks[track_handle]
        return handle


@asynccontextmanager
async def fake_livekit() -> AsyncIterator[FakeLiveKit]:
    """In the place of the native library, and for the rest of the process: objects of the SDK that
    are collected later must not load it."""
    fake = FakeLiveKit()
    _ffi_client.FfiClient._instance = cast(_ffi_client.FfiClient, fake)
    playing = asyncio.create_task(fake.play())
    try:
        yield fake
        assert not fake.joined, "nobody said goodbye"
        assert not fake.open_streams
    finally:
        playing.cancel()
        await asyncio.gather(playing, return_exceptions=True)
