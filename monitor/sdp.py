"""Judges an SDP offer before the WebRTC stack sees it, and takes out what that must not act on.

The stack accepts empty offers, fails on bad ones with whatever error comes first, and would look
up any host name that a candidate carries. Offers are RFC 8866 text in the dialect of RFC 9429.
"""

import ipaddress
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from monitor.problems import Problem

TAKEN_CODECS = {"audio": ("opus", "PCMU", "PCMA", "G722"), "video": ("VP8", "H264")}
STATIC_CODECS = {"0": "PCMU", "8": "PCMA", "9": "G722"}  # RFC 3551 table 4: need no rtpmap
HELPERS = {
    "rtx",
    "red",
    "ulpfec",
    "flexfec-03",
    "telephone-event",
    "cn",
}  # carry no media of their own
TRANSPORT_ATTRIBUTES = ("ice-ufrag", "ice-pwd", "fingerprint", "setup")
DIRECTIONS = ("sendonly", "sendrecv", "recvonly", "inactive")
OPUS_MAP = re.compile(r"a=rtpmap:(\d+) opus/48000/2\r\n")
# Browsers send speech at 32 kbit/s in a mode that filters low tones, unless asked for stereo, and
# then the voice's embedding depends on the codec: 0.97 of cosine is left of it, with this 0.99.
OPUS_WISHES = "maxaveragebitrate=96000;stereo=1"
AUDIO_FORMATS = re.compile(r"^m=audio \d+ \S+((?: \d+)+)\r?$", re.MULTILINE)
COMFORT_NOISE = "13"  # RFC 3551 table 4
COMFORT_NOISE_MAP = f"a=rtpmap:{COMFORT_NOISE} CN/8000\r\n"
TELEPHONE_MAP = re.compile(r"a=rtpmap:[089] \S+\r\n")
FEEDBACK = re.compile(r"^a=rtcp-fb:\S+ (nack pli|ccm fir)\r?$", re.MULTILINE)
HOST_CANDIDATE = re.compile(
    r"a=candidate:(?P<foundation>\S+)(?P<head> \d \w+ \d+ )(?P<address>\S+)"
    r"(?P<tail> \d+ typ host.*)"
)
LINE = re.compile(r"[a-z]=.*")
MEDIA_LINE = re.compile(r"m=([a-z]+) (\d{1,5})(?:/\d+)? ([A-Z/]+) (.+)")
CANDIDATE = re.compile(
    r"\S{1,32} [12] (\w+) \d{1,10} (\S+) \d{1,5} typ (?:host|srflx|prflx|relay).*"
)


@dataclass
class Section:
    """One m= section, or the session part in front of the first (its `kind` is empty)."""

    kind: str = ""
    port: int = 0
    formats: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def values(self, attribute: str) -> Iterator[str]:
        """The values of every a=`attribute`; an attribute without a value gives an empty one."""
        for line in self.lines:
            name, _, value = line[2:].partition(":")
            if line.startswith("a=") and name == attribute:
                yield value

    def has(self, attribute: str) -> bool:
        return any(True for _ in self.values(attribute))


def accept_offer(body: bytes, max_candidates: int) -> str:
    """The offer, without the candidates that are no UDP address.

    Raises Problem: 400 for text that is no complete offer, 422 for one that is not taken here.
    """
    session, media = _sections(_lines(body))
    _check_media(media)
    _check_bundle(session, media)
    candidates = sum(1 for part in (session, *media) for _ in part.values("candidate"))
    if candidates > max_candidates:
        raise Problem(
            422, f"The offer has {candidates} candidates; at most {max_candidates} are taken."
        )
    for section in media:
        _check_transport(section, session)
        _check_direction(section, session)
        _check_codecs(section)
    kept = [line for part in (session, *media) for line in part.lines if _keep(line)]
    return "\r\n".join(kept) + "\r\n"


def ask_for_clear_sound(answer: str) -> str:
    """`answer` with what senders of Opus are asked for (RFC 7587 section 6.1), a wish to which
    nobody is bound."""
    return OPUS_MAP.sub(rf"\g<0>a=fmtp:\g<1> {OPUS_WISHES}\r\n", answer)


def accept_comfort_noise(answer: str, offer: str) -> str:
    """`answer` with comfort noise (RFC 3389) behind the telephone codecs in it, if `offer` has it:
    the stack does not know it, and a sender suppresses no silence that it cannot announce."""
    telephone = TELEPHONE_MAP.search(answer)
    if telephone is None or COMFORT_NOISE not in _audio_formats(offer):
        return answer
    mapped = answer[: telephone.end()] + COMFORT_NOISE_MAP + answer[telephone.end() :]
    return AUDIO_FORMATS.sub(lambda m: f"{m[0].rstrip()} {COMFORT_NOISE}\r", mapped, count=1)


def wants_fir(offer: str) -> bool:
    """Whether the offer's video takes FIR (RFC 5104) but no PLI (RFC 4585) as the request for a
    keyframe; with PLI, or neither, PLI it is."""
    feedback = {match[1] for match in FEEDBACK.finditer(offer)}
    return "ccm fir" in feedback and "nack pli" not in feedback


def advertise(answer: str, addresses: Iterable[str]) -> str:
    """`answer` with every host candidate once more under each of `addresses`, where a NAT forwards
    the same ports; of the same family, since the ports are."""
    lines = []
    for line in answer.split("\r\n"):
        lines.append(line)
        match = HOST_CANDIDATE.fullmatch(line)
        if match is None:
            continue
        for number, address in enumerate(addresses):
            if (":" in address) == (":" in match["address"]):
                foundation = f"{match['foundation']}{number}"
                lines.append(f"a=candidate:{foundation}{match['head']}{address}{match['tail']}")
    return "\r\n".join(lines)


def _audio_formats(description: str) -> list[str]:
    found = AUDIO_FORMATS.search(description)
    return found[1].split() if found else []


def _lines(body: bytes) -> list[str]:
    if not body.strip():
        raise Problem(400, "The body is empty; an SDP offer was expected.")
    try:
        lines = body.decode().replace("\r\n", "\n").rstrip("\n").split("\n")
    except UnicodeDecodeError as error:
        raise Problem(400, "The body is not UTF-8 text; an SDP offer was expected.") from error
    for number, line in enumerate(lines, start=1):
        if not LINE.fullmatch(line) or not line.isprintable():
            raise Problem(
                400, f"Line {number} is not SDP: a letter, '=' and a value were expected."
            )
    if lines[0] != "v=0":
        raise Problem(400, "The SDP does not begin with v=0.")
    return lines


def _sections(lines: list[str]) -> tuple[Section, list[Section]]:
    session, media = Section(), []
    for line in lines:
        if line.startswith("m="):
            match = MEDIA_LINE.fullmatch(line)
            if not match:
                raise Problem(400, "An m= line is malformed or cut short.")
            media.append(Section(match[1], int(match[2]), match[4].split()))
        (media[-1] if media else session).lines.append(line)
    return session, media


def _check_media(media: list[Section]) -> None:
    kinds = [section.kind for section in media]
    if "audio" not in kinds:
        raise Problem(422, "The offer has no audio section; the voice is needed.")
    for kind in set(kinds):
        if kind not in TAKEN_CODECS:
            raise Problem(
                422, f"The offer has a section of kind {kind[:16]!r}; audio and video are taken."
            )
        if kinds.count(kind) > 1:
            raise Problem(422, f"The offer has several {kind} sections; one is taken.")
    mids = [mid for section in media for mid in section.values("mid")]
    if len(mids) != len(media) or len(set(mids)) != len(mids):
        raise Problem(400, "Every media section needs an a=mid of its own.")


def _check_bundle(session: Section, media: list[Section]) -> None:
    """All sections must share one transport, as WHIP has it and because aiortc puts BUNDLE into
    every answer, whatever was offered: the peer would send all over the transport of the first
    section, while the others wait on theirs.

    Sections that say `a=bundle-only` leave out its port and attributes (RFC 9429 section 5.2.1),
    which the stack misses: they get those of the section that has them.
    """
    groups = [value.split() for value in session.values("group")]
    bundled = next((group[1:] for group in groups if group[:1] == ["BUNDLE"]), [])
    by_mid = {next(section.values("mid")): section for section in media}
    if len(media) > 1 and not by_mid.keys() <= set(bundled):
        raise Problem(
            422,
            "The offer's sections have transports of their own, which aiortc cannot answer; one is "
            "taken for all, as the bundle policy max-bundle offers it.",
        )
    shared = next((by_mid[mid] for mid in bundled if mid in by_mid), None)
    for section in media:
        if shared is not None and section.port == 0 and section.has("bundle-only"):
            _share_transport(section, shared, session)


def _share_transport(section: Section, shared: Section, session: Section) -> None:
    section.port = shared.port
    section.lines[0] = re.sub(r" 0+(?=[/ ])", f" {shared.port}", section.lines[0], count=1)
    for attribute in ("rtcp-mux", *TRANSPORT_ATTRIBUTES):
        if not section.has(attribute) and not session.has(attribute):
            section.lines += [
                line for line in shared.lines if re.match(rf"a={attribute}(:|$)", line)
            ]


def _check_transport(section: Section, session: Section) -> None:
    for attribute in TRANSPORT_ATTRIBUTES:
        if not section.has(attribute) and not session.has(attribute):
            raise Problem(
                400, f"The {section.kind} section has no a={attribute}: not WebRTC, or cut short."
            )
    for candidate in section.values("candidate"):
        if not CANDIDATE.fullmatch(candidate):
            raise Problem(400, f"The {section.kind} section has a malformed a=candidate.")


def _check_direction(section: Section, session: Section) -> None:
    stated = [d for part in (section, session) for d in DIRECTIONS if part.has(d)]
    if section.port == 0 or (stated and stated[0] in ("recvonly", "inactive")):
        raise Problem(422, f"The {section.kind} section sends nothing; a=sendonly was expected.")


def _check_codecs(section: Section) -> None:
    named = dict(value.split(" ", 1) for value in section.values("rtpmap") if " " in value)
    offered = [
        named[f].split("/")[0] if f in named else STATIC_CODECS.get(f, "") for f in section.formats
    ]
    taken = TAKEN_CODECS[section.kind]
    if {name.lower() for name in offered} & {name.lower() for name in taken}:
        return
    media = sorted({name[:16] for name in offered if name and name.lower() not in HELPERS})
    raise Problem(
        422,
        f"The {section.kind} section offers {', '.join(media) or 'no known codec'}; "
        f"taken are {', '.join(taken)}.",
    )


def _keep(line: str) -> bool:
    """Whether the stack may see `line`: all but candidates that it would look up or cannot use."""
    prefix = "a=candidate:"
    return not line.startswith(prefix) or is_usable_candidate(line.removeprefix(prefix))


def is_usable_candidate(value: str) -> bool:
    """Whether `value`, without `a=candidate:`, is a UDP address.

    A peer behind an mDNS name (RFC 9429 section 5.1.2 hides addresses so) is still reached: its own
    checks show its address.
    """
    match = CANDIDATE.fullmatch(value)
    if not match or match[1].lower() != "udp":
        return False
    try:
        address = ipaddress.ip_address(match[2])
    except ValueError:
        return False
    return not (address.is_multicast or address.is_unspecified)
