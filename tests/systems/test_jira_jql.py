"""Queries say exactly what they mean, whatever text they carry."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_connector.errors import ConfigurationError
from ml_connector.systems.jira import jql

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=30)
KINDS = "com.atlassian.jira.plugin.system.customfieldtypes:"
ESCAPED = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "'": "'", "\\": "\\", " ": " "}


def read(quoted: str) -> tuple[str, str]:
    """The value of a quoted text as Jira reads it, and what stands behind it; AssertionError for an illegal escape."""
    assert quoted[0] == '"', quoted
    value, place = "", 1
    while quoted[place] != '"':
        letter = quoted[place]
        assert ord(letter) >= 32 and not 0x7F <= ord(letter) < 0xA0, quoted
        if letter != "\\":
            value, place = value + letter, place + 1
        elif quoted[place + 1] == "u":
            value, place = value + chr(int(quoted[place + 2 : place + 6], 16)), place + 6
        else:
            value, place = value + ESCAPED[quoted[place + 1]], place + 2
    return value, quoted[place + 1 :]


def read_phrase(query: str) -> str:
    """The words that a text query asks for: a bare word, or a phrase whose special characters are escaped."""
    if not query.startswith('"'):
        assert re.fullmatch(r"[0-9A-Za-z]+", query), query
        return query
    words, place = "", 1
    while query[place] != '"':
        assert query[place] == "\\" or query[place] not in '+-&|!(){}[]^~*?:"', query
        place += query[place] == "\\"
        words, place = words + query[place], place + 1
    assert place == len(query) - 1, query
    return words


@settings(deadline=None)
@given(ANY_TEXT)
def test_any_text_reads_back_as_it_was_quoted(value: str) -> None:
    assert read(jql.quote(value)) == (value, "")


@settings(deadline=None)
@given(ANY_TEXT)
def test_any_text_is_looked_for_as_it_is_through_both_layers(value: str) -> None:
    query, rest = read(jql.text_query(value))
    assert rest == ""
    assert read_phrase(query) == value


@settings(deadline=None)
@given(st.lists(ANY_TEXT, min_size=1, max_size=5, unique=True))
def test_a_list_of_values_reads_back_as_it_was(values: list[str]) -> None:
    (query,) = jql.carrying("labels", values, "labelsearcher")
    start = 'labels in ('
    assert query.startswith(start)
    rest, found = query[len(start) :], []
    while rest != ")":
        value, rest = read(rest.removeprefix(", "))
        found.append(value)
    assert found == values


def test_the_documented_examples_are_written_so() -> None:
    assert jql.quote('say "hi" \\ now\n') == r'"say \"hi\" \\ now\n"'
    assert jql.quote("\x07") == r'"\u0007"'
    assert jql.text_query("INV 1001") == r'"\"INV 1001\""'
    assert jql.text_query("why?") == r'"\"why\\?\""'
    assert jql.text_query("T4X7ABCDEFGHIJKLMNOP") == '"T4X7ABCDEFGHIJKLMNOP"'
    assert jql.text_query("OR") == r'"\"OR\""'


def test_a_text_field_is_asked_by_word_and_an_exact_one_by_list() -> None:
    words = jql.carrying("customfield_10010", ["tok1", "tok2"], KINDS + "textsearcher")
    assert words == ['(cf[10010] ~ "tok1" OR cf[10010] ~ "tok2")']
    exact = jql.carrying("customfield_10010", ["tok1", "tok2", "tok1"], KINDS + "exacttextsearcher")
    assert exact == ['cf[10010] in ("tok1", "tok2")']


@pytest.mark.parametrize("key", ["textsearcher", KINDS + "textsearcher"])
def test_a_text_index_knows_no_equality(key: str) -> None:
    assert jql.operator_for(key) == "~"


@pytest.mark.parametrize("key", [KINDS + "exacttextsearcher", "labelsearcher", KINDS + "exactnumber"])
def test_an_exact_index_takes_a_list(key: str) -> None:
    assert jql.operator_for(key) == "in"


@pytest.mark.parametrize("key", ["", KINDS + "multiselectsearcher", "daterange"])
def test_any_other_index_is_a_setting_to_mend(key: str) -> None:
    with pytest.raises(ConfigurationError, match="token_field"):
        jql.operator_for(key)


@pytest.mark.parametrize("key", ["textsearcher", "labelsearcher"])
def test_many_values_are_asked_in_several_queries(key: str) -> None:
    tokens = [f"T4X7{number:016d}" for number in range(250)]
    queries = jql.carrying("customfield_10010", tokens, key)
    assert [sum(token in query for token in tokens) for query in queries] == [100, 100, 50]
    assert all(len(query) <= jql.MOST_CHARACTERS for query in queries)


@pytest.mark.parametrize("key", ["textsearcher", "labelsearcher"])
def test_long_values_are_asked_in_queries_that_are_short_enough(key: str) -> None:
    values = [f"{number} " + "-" * 250 for number in range(100)]
    queries = jql.carrying("customfield_10010", values, key)
    assert len(queries) > 3
    assert all(len(query) <= jql.MOST_CHARACTERS for query in queries)
    assert sum(query.count(" ~ ") or query.count('", "') + 1 for query in queries) == 100


def test_no_values_ask_nothing() -> None:
    assert jql.carrying("customfield_10010", [], "textsearcher") == []


def test_changes_are_asked_for_by_their_age() -> None:
    end = 'updated >= "-25m" ORDER BY updated ASC, key ASC'
    assert jql.changed_within("DO", "labels", 25) == f'project = "DO" AND {end}'
    assert jql.changed_within("DO", "customfield_7", 25) == f'(project = "DO" OR cf[7] IS NOT EMPTY) AND {end}'


@pytest.mark.parametrize(
    ("text", "fits"), [("10001", True), ("AP-12", True), ("AP-", False), ("1/2", False), ("", False)]
)
def test_only_ids_and_keys_name_an_issue(text: str, fits: bool) -> None:
    assert jql.is_issue_name(text) is fits
