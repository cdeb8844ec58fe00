import pytest

from monitor.problems import Problem
from monitor.sdp import (
    accept_comfort_noise,
    accept_offer,
    advertise,
    ask_for_clear_sound,
    wants_fir,
)

TRANSPORT = """a=ice-ufrag:abcd
a=ice-pwd:abcdefghijklmnopqrstuvwx
a=fingerprint:sha-256 00:11
a=setup:actpass
"""
SESSION = "v=0\no=- 1 1 IN IP4 0.0.0.0\ns=-\nt=0 0\na=group:BUNDLE 0 1\n"
AUDIO = (
    "m=audio 9 UDP/TLS/RTP/SAVPF 111 0\na=mid:0\na=sendonly\na=rtcp-mux\n"
    "a=rtpmap:111 opus/48000/2\n" + TRANSPORT
)
VIDEO = (
    "m=video 9 UDP/TLS/RTP/SAVPF 96 97\na=mid:1\na=sendonly\na=rtcp-mux\n"
    "a=rtpmap:96 VP8/90000\na=rtpmap:97 rtx/90000\n" + TRANSPORT
)
HOST = "a=candidate:1 1 UDP 2130706431 192.0.2.7 50000 typ host\n"
MDNS = "a=candidate:2 1 udp 2130706431 d9f3-11.local 50001 typ host generation 0\n"
TCP = "a=candidate:3 1 tcp 2130706431 192.0.2.7 9 typ host tcptype active\n"


def accept(text: str, max_candidates: int = 8) -> str:
    return accept_offer(text.encode(), max_candidates)


def refusal(text: str | bytes, max_candidates: int = 8) -> Problem:
    with pytest.raises(Problem) as raised:
        accept_offer(text if isinstance(text, bytes) else text.encode(), max_candidates)
    return raised.value


def test_an_offer_passes_unchanged_but_for_line_ends() -> None:
    text = SESSION + AUDIO + VIDEO + HOST
    assert accept(text) == text.replace("\n", "\r\n")
    assert accept(text.replace("\n", "\r\n")) == text.replace("\n", "\r\n")


def test_candidates_that_would_be_looked_up_or_cannot_be_used_are_taken_out() -> None:
    everywhere = "a=candidate:4 1 udp 1 224.0.0.1 5000 typ host\n"
    accepted = accept(SESSION + AUDIO + HOST + MDNS + TCP + everywhere)
    assert accepted.count("a=candidate") == 1
    assert "192.0.2.7 50000" in accepted


def test_transport_of_the_session_part_serves_every_section() -> None:
    audio = AUDIO.replace(TRANSPORT, "")
    assert accept(SESSION + TRANSPORT + audio)


def test_audio_alone_is_enough() -> None:
    assert accept(SESSION + AUDIO)


def test_telephone_codecs_need_no_rtpmap() -> None:
    assert accept(SESSION + AUDIO.replace("111 0", "0").replace("a=rtpmap:111 opus/48000/2\n", ""))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", "empty"),
        (b" \r\n\n", "empty"),
        (b"\xff\xfe\x00", "UTF-8"),
        (b"hello monitor", "Line 1 is not SDP"),
        (b'{"type": "offer"}', "Line 1 is not SDP"),
        (b"v=0\nx\x00=1\n", "Line 2 is not SDP"),
        (b"o=- 1 1 IN IP4 0.0.0.0\n", "does not begin with v=0"),
        ((SESSION + "m=audio 9 UDP/T").encode(), "cut short"),
        ((SESSION + AUDIO.split("a=ice-pwd")[0]).encode(), "no a=ice-pwd"),
        ((SESSION + AUDIO.replace("a=setup:actpass\n", "")).encode(), "no a=setup"),
        ((SESSION + AUDIO.replace("a=mid:0\n", "")).encode(), "a=mid"),
        ((SESSION + AUDIO + VIDEO.replace("mid:1", "mid:0")).encode(), "a=mid"),
        ((SESSION + AUDIO + "a=candidate:1 1 udp\n").encode(), "malformed a=candidate"),
    ],
)
def test_text_that_is_no_complete_offer_is_a_bad_request(body: bytes, expected: str) -> None:
    problem = refusal(body)
    assert problem.status == 400
    assert expected in problem.detail


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (SESSION, "no audio section"),
        (SESSION + VIDEO, "no audio section"),
        (SESSION + AUDIO.replace("audio 9", "audio 0"), "sends nothing"),
        (SESSION + AUDIO.replace("sendonly", "recvonly"), "sends nothing"),
        (SESSION + "a=inactive\n" + AUDIO.replace("a=sendonly\n", ""), "sends nothing"),
        (SESSION + AUDIO + AUDIO.replace("mid:0", "mid:1"), "several audio sections"),
        (SESSION + AUDIO + "m=application 9 UDP/DTLS/SCTP x\na=mid:1\n", "application"),
        (SESSION + AUDIO.replace("111 0", "111").replace("opus", "L16"), "offers L16"),
        (SESSION + AUDIO + VIDEO.replace("VP8", "VP9"), "offers VP9; taken are VP8, H264"),
    ],
)
def test_offers_that_are_not_taken_say_what_is(text: str, expected: str) -> None:
    problem = refusal(text)
    assert problem.status == 422
    assert expected in problem.detail


def test_direction_of_a_section_wins_over_the_session() -> None:
    assert accept(SESSION + "a=recvonly\n" + AUDIO)


def test_candidates_are_limited() -> None:
    assert accept(SESSION + AUDIO + HOST * 8)
    problem = refusal(SESSION + AUDIO + HOST * 9)
    assert problem.status == 422
    assert "9 candidates; at most 8 are taken" in problem.detail


def test_an_answer_asks_for_opus_that_leaves_voices_as_they_are() -> None:
    answer = (SESSION + AUDIO + VIDEO).replace("\n", "\r\n")
    asked = ask_for_clear_sound(answer)
    added = [line for line in asked.splitlines() if line not in answer.splitlines()]
    assert added == ["a=fmtp:111 maxaveragebitrate=96000;stereo=1"]
    assert asked.index(added[0]) < asked.index("m=video")


def test_an_answer_without_opus_asks_for_nothing() -> None:
    telephone = SESSION + AUDIO.replace("opus/48000/2", "PCMU/8000")
    assert ask_for_clear_sound(telephone) == telephone


TELEPHONE = AUDIO.replace("a=rtpmap:111", "a=rtpmap:0 PCMU/8000\na=rtpmap:111")


def test_comfort_noise_is_accepted_where_it_is_offered_with_a_telephone_codec() -> None:
    answer = (SESSION + TELEPHONE + VIDEO).replace("\n", "\r\n")
    offer = answer.replace("SAVPF 111 0", "SAVPF 111 0 13")
    accepted = accept_comfort_noise(answer, offer)
    added = [line for line in accepted.split("\r\n") if line not in answer.split("\r\n")]
    assert added == ["m=audio 9 UDP/TLS/RTP/SAVPF 111 0 13", "a=rtpmap:13 CN/8000"]
    assert accepted.index("a=rtpmap:13") < accepted.index("m=video")
    assert accept_comfort_noise(answer, answer) == answer


def test_comfort_noise_is_not_accepted_with_opus_alone() -> None:
    answer = (SESSION + AUDIO.replace("111 0", "111") + VIDEO).replace("\n", "\r\n")
    assert accept_comfort_noise(answer, answer.replace("SAVPF 111", "SAVPF 111 13")) == answer


def test_a_sender_that_knows_fir_alone_is_asked_by_fir() -> None:
    fir, pli = "a=rtcp-fb:96 ccm fir\r\n", "a=rtcp-fb:* nack pli\r\n"
    assert wants_fir(fir)
    assert not wants_fir(fir + pli)
    assert not wants_fir(pli)
    assert not wants_fir("a=rtcp-fb:96 nack\r\n")


def test_addresses_beyond_a_nat_stand_beside_the_hosts_own() -> None:
    own = "a=candidate:7 1 udp 2130706431 10.0.0.5 40000 typ host"
    six = "a=candidate:8 1 udp 2130706431 fd00::2 40000 typ host"
    reflexive = "a=candidate:9 1 udp 1694498815 198.51.100.9 40000 typ srflx raddr 10.0.0.5"
    answer = "\r\n".join(["v=0", own, six, reflexive, "a=end-of-candidates", ""])
    advertised = advertise(answer, ["203.0.113.7", "2001:db8::7"])
    assert advertised.split("\r\n") == [
        "v=0",
        own,
        "a=candidate:70 1 udp 2130706431 203.0.113.7 40000 typ host",
        six,
        "a=candidate:81 1 udp 2130706431 2001:db8::7 40000 typ host",
        reflexive,
        "a=end-of-candidates",
        "",
    ]
    assert advertise(answer, []) == answer


def test_sections_must_share_one_transport() -> None:
    for group in ("", "a=group:BUNDLE 0\n", "a=group:LS 0 1\n", "a=group:\n"):
        session = SESSION.replace("a=group:BUNDLE 0 1\n", group)
        problem = refusal(session + AUDIO + VIDEO)
        assert problem.status == 422
        assert "max-bundle" in problem.detail
        assert accept(session + AUDIO)


def test_a_section_without_a_transport_of_its_own_gets_the_shared_one() -> None:
    """As max-bundle offers it."""
    video = VIDEO.replace(TRANSPORT, "a=bundle-only\n").replace("a=rtcp-mux\n", "")
    accepted = accept(SESSION + AUDIO + video.replace("video 9", "video 0"))
    section = accepted[accepted.index("m=video") :].splitlines()
    assert section[0].startswith("m=video 9 ")
    assert {"a=rtcp-mux", *TRANSPORT.splitlines()} <= set(section)


def test_a_section_that_nobody_carries_sends_nothing() -> None:
    for audio in (AUDIO, AUDIO + "a=bundle-only\n"):
        assert "sends nothing" in refusal(SESSION + audio.replace("audio 9", "audio 0")).detail
    assert "sends nothing" in refusal(SESSION + AUDIO + VIDEO.replace("video 9", "video 0")).detail
