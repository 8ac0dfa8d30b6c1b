"""A refusal names what was typed: by another field's name nobody would find the option."""

from __future__ import annotations

import pytest

from ecomind_query.commands.common import worded


@pytest.mark.parametrize(
    ("sentence", "as_typed"),
    [
        ("factor_set: There is none.", "--set: There is none."),
        ("group_by: 'colour' is not one.", "--group-by: 'colour' is not one."),
        ("from: it is late: 2031", "--from: it is late: 2031"),
        ("Give --last or --from, not both.", "Give --last or --from, not both."),
        ("ECOMIND_API_KEY: The API key is unknown.", "ECOMIND_API_KEY: The API key is unknown."),
        (
            "The server at http://x:1 did not answer: a",
            "The server at http://x:1 did not answer: a",
        ),
    ],
)
def test_a_sentence_names_the_option(sentence: str, as_typed: str) -> None:
    assert worded(sentence, factor_set="--set") == as_typed
