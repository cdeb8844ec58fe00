"""One participant of a LiveKit room: what of theirs is subscribed to, and in which size."""

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from livekit import rtc

from monitor.layers import Layers, Wish
from monitor.livekit_media import LiveKitMedia
from monitor.media import FaceSink
from monitor.source import Room

ASK_AGAIN_S: Final = 3.0  # for what was asked for and did not come
QUALITIES: Final = (
    rtc.VideoQuality.VIDEO_QUALITY_LOW,
    rtc.VideoQuality.VIDEO_QUALITY_MEDIUM,
    rtc.VideoQuality.VIDEO_QUALITY_HIGH,
)
_DEVICES: Final = {
    rtc.TrackKind.KIND_AUDIO: (rtc.TrackSource.SOURCE_MICROPHONE, rtc.TrackSource.SOURCE_UNKNOWN),
    rtc.TrackKind.KIND_VIDEO: (rtc.TrackSource.SOURCE_CAMERA, rtc.TrackSource.SOURCE_UNKNOWN),
}
"""Never a shared screen: its faces and voices are somebody else's."""


class _Asked(NamedTuple):
    wanted: bool
    time_s: float


def publishes(participant: rtc.RemoteParticipant) -> bool:
    """Whether they send a voice or a face; those who only look on are not judged."""
    return any(_taken(participant, kind) for kind in _DEVICES)


class Guest:
    """Has a seat from the beginning. Raises SourceError if there is none."""

    def __init__(
        self,
        room: Room,
        name: str,
        participant: rtc.RemoteParticipant,
        faces: FaceSink,
        face_interval_s: float,
        clock: Callable[[], float],
    ) -> None:
        self._room = room
        self._name = name
        self._session = room.seat(name, participant.name or participant.identity)
        self._media = LiveKitMedia(self._session, faces, face_interval_s, clock)
        self._layers: Layers | None = None
        self._asked: dict[str, _Asked] = {}
        self._quality: dict[str, int] = {}
        room.follow(name, self._media)

    async def attend(self, participant: rtc.RemoteParticipant, now_s: float) -> None:
        """Takes what they send now, as much of it as is needed; to be called twice a second."""
        self._layers = self._layers or Layers(now_s)
        wish = self._layers.wish(self._session, now_s)
        sound = _taken(participant, rtc.TrackKind.KIND_AUDIO)
        pictures = _taken(participant, rtc.TrackKind.KIND_VIDEO)
        self._forget(participant.track_publications)
        if sound is not None:
            self._subscribe(sound, True, now_s)
        if pictures is not None:
            self._subscribe(pictures, wish.video, now_s)
            self._choose(pictures, wish)
        await self._media.play(
            sound.track if sound is not None else None,
            pictures.track if pictures is not None else None,
        )

    async def close(self) -> None:
        """Takes nothing more of them."""
        await self._media.close()

    async def leave(self) -> None:
        """They are gone for good."""
        await self._room.leave(self._name)

    def _subscribe(
        self, publication: rtc.RemoteTrackPublication, wanted: bool, now_s: float
    ) -> None:
        asked = self._asked.get(publication.sid)
        if asked is not None and asked.wanted == wanted:
            came = publication.subscribed == wanted
            if came or now_s - asked.time_s < ASK_AGAIN_S:
                return
        self._asked[publication.sid] = _Asked(wanted, now_s)
        self._quality.pop(publication.sid, None)
        publication.set_subscribed(wanted)

    def _choose(self, publication: rtc.RemoteTrackPublication, wish: Wish) -> None:
        """Only where there are several sizes, and once it is subscribed to."""
        chosen = self._quality.get(publication.sid)
        if publication.simulcasted and publication.subscribed and chosen != wish.layer:
            self._quality[publication.sid] = wish.layer
            publication.set_video_quality(QUALITIES[wish.layer])

    def _forget(self, there: Iterable[str]) -> None:
        """What is published no more."""
        for sid in self._asked.keys() - set(there):
            del self._asked[sid]
            self._quality.pop(sid, None)


def _taken(
    participant: rtc.RemoteParticipant, kind: rtc.TrackKind.ValueType
) -> rtc.RemoteTrackPublication | None:
    """The one track of that kind that is followed: a device's if possible, none that is encrypted
    from end to end, for which we have no key."""
    found = [
        publication
        for publication in participant.track_publications.values()
        if publication.kind == kind
        and publication.source in _DEVICES[kind]
        and publication.encryption_type == rtc.EncryptionType.NONE
    ]
    return min(found, key=lambda p: _DEVICES[kind].index(p.source), default=None)
