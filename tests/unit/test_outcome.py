"""How runs end: from what a job told, printed and left, to what is kept."""

import pytest

from server.cron.outcome import (
    OUTPUT_BYTES_MAX,
    Outcome,
    Output,
    describe_death,
    judge,
    progress_report,
    raised,
    returned,
)

DEATH = "it died"


def printed(*data: bytes) -> str | None:
    output = Output()
    for piece in data:
        output.add(piece)
    return output.text


def test_what_fits_is_kept_as_it_was_printed():
    assert printed(b"gr\xc3", b"\xbc\xc3\x9fe\n") == "grüße\n"
    assert printed() is None


def test_of_more_than_fits_the_end_is_kept_in_whatever_pieces_it_came():
    data = b"".join(b"%07d\n" % number for number in range(100_000))
    expected = data[-OUTPUT_BYTES_MAX:].decode()
    assert printed(data) == expected
    assert printed(*(data[start : start + 999] for start in range(0, len(data), 999))) == expected


def test_a_cut_goes_through_no_character():
    text = printed("€".encode() * 30_000)
    assert set(text) == {"€"}
    assert len(text) == OUTPUT_BYTES_MAX // 3


def test_what_is_no_text_is_replaced_and_never_refused_by_the_database():
    assert printed(b"a\0b\xff\xfec") == "a\N{REPLACEMENT CHARACTER}b" + "\N{REPLACEMENT CHARACTER}" * 2 + "c"


@pytest.mark.parametrize("reason", [None, "cancelled", "timed_out", "interrupted"])
def test_a_result_counts_even_if_the_job_was_asked_to_stop_meanwhile(reason):
    assert judge(reason, returned([1]), "out", DEATH) == Outcome("succeeded", [1], "out")


@pytest.mark.parametrize("told", [None, returned(1), {"outcome": "raised", "error": "x"}])
def test_of_a_lost_run_nothing_is_kept(told):
    assert judge("lost", told, "out", DEATH) == Outcome("lost", error="the run was taken away")


def test_without_a_word_from_the_job_its_death_is_the_error():
    assert judge(None, None, "out", DEATH) == Outcome("failed", None, "out", DEATH)
    assert judge("timed_out", None, "out", DEATH).error == "ran longer than its timeout"


def test_an_error_while_stopping_is_kept_with_the_reason_of_the_stop():
    told = {"outcome": "raised", "error": "Traceback"}
    assert judge("cancelled", told, None, DEATH) == Outcome("cancelled", None, None, "Traceback")
    assert judge(None, told, None, DEATH) == Outcome("failed", None, None, "Traceback")


@pytest.mark.parametrize("told", [{}, {"outcome": "?"}, {"error": 7}, {"result": 1}])
def test_what_makes_no_sense_counts_as_nothing_told(told):
    assert judge(None, told, None, DEATH).error == DEATH


def test_a_death_names_signal_or_exit_code_and_memory():
    assert describe_death(-11, 4096) == (
        "the job's process was ended by SIGSEGV, before it told an outcome; its memory had reached 4 MiB"
    )
    assert "want of memory" in describe_death(-9, 1 << 20)
    assert "its memory had reached 1024 MiB" in describe_death(-9, 1 << 20)
    assert "exit code 7" in describe_death(7, 0)


def test_a_death_by_a_signal_without_a_name_is_told_by_its_number():
    assert "ended by signal 40, before" in describe_death(-40, 0)


@pytest.mark.parametrize("result", ["a\0b", float("nan"), object(), "x" * 70_000, "\ud800"])
def test_a_result_that_the_database_cannot_hold_is_refused(result):
    with pytest.raises((ValueError, TypeError)):
        returned(result)


def test_a_result_is_kept_as_everybody_will_read_it():
    assert returned({1: (2, 3)})["result"] == {"1": [2, 3]}


def test_an_error_keeps_its_end_and_nothing_that_the_database_refuses():
    def fail() -> None:
        raise ValueError("x" * 20_000 + "\0\ud800 the end")

    try:
        fail()
    except ValueError:
        error = raised("a remark\n")["error"]
    assert len(error) == 16_000
    assert error.endswith("x\N{REPLACEMENT CHARACTER}\\ud800 the end\na remark\n")


@pytest.mark.parametrize("number", [float("nan"), float("inf"), 10**400, "3", None])
def test_progress_that_the_database_cannot_hold_is_refused(number):
    with pytest.raises(ValueError, match="finite numbers"):
        progress_report(number, 1, "")
    with pytest.raises(ValueError, match="finite numbers"):
        progress_report(1, number, "")


def test_a_message_of_progress_is_cut_and_cleaned():
    assert progress_report(1, 2.5, "a\0\ud800" + "x" * 300) == {
        "done": 1,
        "total": 2.5,
        "message": "a\N{REPLACEMENT CHARACTER}\\ud800" + "x" * 197,
    }
